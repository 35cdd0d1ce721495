"""Attribute access becomes a call: ``service.module.function(...)`` is ``Client.call("module.function", ...)``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import requests

from .auth import given_bearer
from .client import Client, open_client
from .documented import functions as catalogue
from .sealed import seal
from .transport.session import DEFAULT_TIMEOUT, Timeout, checked_timeout

ACCESS_TOKEN_URL = "https://www.sidefx.com/oauth2/application_token"
ENDPOINT_URL = "https://www.sidefx.com/api/"


class _ServiceTimeout:
    """Stands for the service's own timeout: None means to wait for ever."""

    def __repr__(self) -> str:
        return "<the service's>"


_SERVICE_TIMEOUT: Any = _ServiceTimeout()
_PROBES = ("getdoc", "trait_names")  # IPython asks any object for these


class Service(catalogue.Catalogue):
    """The API: ``service.module.function(*args, **kwargs)`` calls ``module.function`` on the server.

    Any names, to any depth, go to the server; a keyword argument always does, whatever it is called. ``dir()`` and
    ``help()`` know the documented ones. ``close()``, or ``with``, ends its connections. One service may serve many
    threads. It is made by ``service()``; made directly, it uses the token that it is given, and one without an expiry
    until the server refuses it.
    """

    def __init__(
        self,
        endpoint_url: str,
        access_token: str | None,
        access_token_expiry_time: float | None,
        timeout: Timeout = DEFAULT_TIMEOUT,
        *,
        client: Client | None = None,
    ) -> None:
        if client is None:
            given = seal(access_token, access_token_expiry_time)
            del access_token  # in no frame that raises
            client = open_client(seal(None, None), ACCESS_TOKEN_URL, endpoint_url, given_bearer(given), timeout)
        self._client = client

    def __getattr__(self, name: str) -> APIFunction:
        _check_name(name)
        return APIFunction(name, self)

    @property
    def endpoint_url(self) -> str:
        return self._client.endpoint_url

    @endpoint_url.setter
    def endpoint_url(self, url: str) -> None:
        self._client.endpoint_url = url

    @property
    def access_token(self) -> str | None:
        """The current token, in clear; one that is set is used from the next call on."""
        bearer = self._client.token.bearer
        return bearer.reveal() if bearer is not None else None

    @access_token.setter
    def access_token(self, value: str | None) -> None:
        given = seal(value, None)
        del value
        self._client.token.bearer = given_bearer(given)

    @property
    def access_token_expiry_time(self) -> float | None:
        """When the token is renewed, in seconds since the epoch; None where nobody knows."""
        bearer = self._client.token.bearer
        return bearer.expiry if bearer is not None else None

    @access_token_expiry_time.setter
    def access_token_expiry_time(self, expiry: float | None) -> None:
        bearer = self._client.token.bearer
        if bearer is not None:
            self._client.token.bearer = given_bearer(seal(bearer.reveal(), expiry))

    @property
    def timeout(self) -> Timeout:
        """Seconds, (seconds to connect, seconds between bytes), or None to wait for ever."""
        return self._client.timeout

    @timeout.setter
    def timeout(self, timeout: Timeout) -> None:
        checked_timeout(timeout)
        self._client.timeout = timeout

    def close(self) -> None:
        """Closes the connections; any later call is a TypeError."""
        self._client.close()

    def __enter__(self) -> Service:
        self._client.check_open()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __dir__(self) -> list[str]:
        return [name for name in {*object.__dir__(self), *catalogue.MODULES} if not _is_private(name)]

    def __repr__(self) -> str:
        return f"<SideFX service at {self.endpoint_url}>"

    def __copy__(self) -> Service:
        return self  # as with a socket: a second one over the same connections and token would be the same one

    def __deepcopy__(self, memo: Any) -> Service:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a service holds connections and a token: make one in each process, it cannot be pickled")


class _Help:
    """What help_text has to show of a documented function or module, looked up only when somebody asks for help."""

    def __init__(self, what: str, otherwise: str | None) -> None:
        self._what = what
        self._otherwise = otherwise

    def __get__(self, instance: object | None, owner: type) -> Any:
        found = self._otherwise
        if instance is not None:
            from .documented import help as help_text  # with inspect: 5 ms that only a reader of help pays

            found = getattr(help_text, self._what)(vars(instance).get("function_name", "")) or found
        if found is None:
            raise AttributeError("nothing is documented under this name")
        return found


Service.__doc__ = _Help("doc", Service.__doc__)  # type: ignore[assignment]


class APIFunction:
    __doc__ = _Help("doc", "A function of the API, or a family of them, whose attributes are its functions.")
    __signature__ = _Help("signature", None)

    def __init__(self, function_name: str, service: Service) -> None:
        self.function_name = function_name
        self.service = service

    def __getattr__(self, name: str) -> APIFunction:
        _check_name(name)
        return APIFunction(f"{self.function_name}.{name}", self.service)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Calls the function; every keyword argument goes to the server. Raises what the package's errors list."""
        if "." not in self.function_name:
            raise TypeError(
                f"{self.function_name!r} is a family of functions: call one of them. A function of that very name is "
                f"sidefx_client.call(service, {self.function_name!r})"
            )
        client = self.service._client
        return client.call(self.function_name, args, kwargs, client.timeout)

    def __dir__(self) -> list[str]:
        names = {*object.__dir__(self), *catalogue.functions(self.function_name)} - {"__signature__"}
        return [name for name in names if not _is_private(name)]

    def __repr__(self) -> str:
        return f"<SideFX API function {self.function_name}>"


def service(
    client_id: str | None = None,
    client_secret_key: str | None = None,
    access_token_url: str = ACCESS_TOKEN_URL,
    endpoint_url: str = ENDPOINT_URL,
    access_token: str | None = None,
    access_token_expiry_time: float | None = None,
    timeout: Timeout = DEFAULT_TIMEOUT,
    *,
    token_cache: str | os.PathLike[str] | None = None,
    session: requests.Session | None = None,
    retries: int = 3,
    ca_bundle: str | os.PathLike[str] | None = None,
) -> Service:
    """A Service with a valid token, fetched now unless one is given or cached.

    client_id, client_secret_key: without them the environment, the vendor's files and ~/.netrc are looked at
    access_token_url, endpoint_url: other servers than the vendor's
    access_token: a token to use; "" sends no Authorization header, as the local hserver wants it
    access_token_expiry_time: until when, in seconds since the epoch; None: until the server refuses it
    timeout: seconds, (seconds to connect, seconds between bytes), or None to wait for ever
    token_cache: the path of a file that keeps tokens for other processes
    session: a requests.Session whose adapters, proxies, verify and cert are used
    retries: how often a call is sent again at most, where that is safe
    ca_bundle: the path of a PEM file that takes the place of the public CA roots

    Raises ConfigError, AuthorizationError or TransportError. The pages: https://www.sidefx.com/docs/api/
    """
    pair = seal(client_id, client_secret_key)
    given = seal(access_token, access_token_expiry_time)
    del client_secret_key, access_token  # in no frame that raises
    bearer = given_bearer(given)
    client = open_client(
        pair, access_token_url, endpoint_url, bearer, timeout, token_cache, session, retries, ca_bundle
    )
    try:
        client.token.current(checked_timeout(timeout))
    except BaseException:
        client.close()
        raise
    return Service(endpoint_url, None, None, timeout, client=client)


def call(
    service: Service,
    name: str,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    timeout: Timeout = _SERVICE_TIMEOUT,
) -> Any:
    """Calls the function of any ``name`` at all, with a ``timeout`` of its own where one is given.

    The result and the errors are those of ``service.module.function(*args, **kwargs)``.
    """
    if not isinstance(service, Service):
        raise TypeError(f"call() takes a service, then the name of a function, not {type(service).__name__}")
    if not isinstance(name, str) or not name:
        raise TypeError("the name of a function must be text, such as 'download.get_daily_builds_list'")
    if isinstance(args, (str, bytes)) or not isinstance(args, Sequence):
        raise TypeError("args must be a list or a tuple of positional arguments")
    if kwargs is not None and not (isinstance(kwargs, Mapping) and all(isinstance(key, str) for key in kwargs)):
        raise TypeError("kwargs must be a dictionary with names as keys")
    client = service._client
    return client.call(name, args, kwargs or {}, client.timeout if timeout is _SERVICE_TIMEOUT else timeout)


def _check_name(name: str) -> None:
    if name.startswith("_") or name in _PROBES:
        raise AttributeError(f"{name!r} is no function of the API: a name with a leading underscore never is")


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")
