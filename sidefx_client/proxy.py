"""The proxy: ``service.module.function(...)`` becomes ``Client._call("module.function", ...)``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import requests

from .client import Client
from .documented import functions as documented
from .errors import APIError
from .secret import optional
from .transport.session import DEFAULT_TIMEOUT, Timeout

_PROBES = ("getdoc", "trait_names")  # IPython asks any object for these
_PACKAGE_FUNCTIONS = {  # people look for these names on a service
    "download_build": 'sidefx_client.download_build(service, "houdini", "20.5")',
    "download_file": "sidefx_client.download_file(url, path)",
    "call": 'sidefx_client.call(service, "module.function", args, kwargs)',
}
# The vendor's pages do not say which of these statuses an unknown function or parameter gets.
_REJECTED_CALL = (400, 404, 405, 422, 500, 501)


_SERVICE_TIMEOUT: Any = "the service's"  # stands for an omitted timeout, because None means to wait for ever


class Service(Client, documented.Catalogue):
    """The API: ``service.module.function(*args, **kwargs)`` calls ``module.function`` on the server.

    Any names, to any depth, go to the server, and so do all keyword arguments. ``dir()`` and ``help()`` know the
    documented ones. ``close()``, or ``with``, closes the connections. Many threads may share a service. Use
    ``service()`` to make one. The class itself takes a token. If the expiry is None, the token is used until the server
    rejects it.
    """

    if not TYPE_CHECKING:  # type checkers would lose the signature
        _missing = "Service takes a URL, a token and its expiry; for an id and a secret use service()"
        __init__ = documented.explained(Client.__init__, 4, _missing)

    def __getattr__(self, name: str) -> APIFunction:
        _check_name(name)
        return APIFunction(name, self)

    def __enter__(self) -> Service:
        self._session.require_open()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *documented.MODULES]

    def __repr__(self) -> str:
        return f"<SideFX service at {self.endpoint_url}>"

    def __copy__(self, memo: Any = None) -> Service:
        return self  # a copy would share the connections and the token

    __deepcopy__ = __copy__

    def __reduce__(self) -> NoReturn:
        raise TypeError("a service holds connections and a token: make one in each process, it cannot be pickled")


class _Documentation:
    """A docstring made by documented/help.py when it is read, because that imports inspect (5 ms)."""

    def __init__(self, text: str | None) -> None:
        self._text = text

    def __get__(self, instance: object | None, owner: type) -> str | None:
        if instance is None:
            return self._text
        from .documented import help as documented_help

        return documented_help.doc(vars(instance).get("function_name", "")) or self._text


Service.__doc__ = _Documentation(Service.__doc__)  # type: ignore[assignment]


class APIFunction:
    __doc__ = _Documentation("A function of the API, or a family of them, whose attributes are its functions.")

    def __init__(self, function_name: str, service: Service) -> None:
        self.function_name = function_name
        self.service = service

    def __getattr__(self, name: str) -> Any:
        if name == "__signature__":
            from .documented import help as documented_help

            if signature := documented_help.signature(self.function_name):
                return signature
        _check_name(name)
        if name == "function_name":  # the object was not initialized
            raise AttributeError(name)
        return APIFunction(f"{self.function_name}.{name}", self.service)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the function. Every keyword argument goes to the server. Raises the errors of the package."""
        name = self.function_name
        if name in _PACKAGE_FUNCTIONS:
            raise TypeError(f"{name} is not a method of a service: use {_PACKAGE_FUNCTIONS[name]}")
        if "." not in name:
            raise TypeError(f"{name!r} is a module: call a function of it, or sidefx_client.call(service, {name!r})")
        return call(self.service, name, args, kwargs)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *documented.functions(self.function_name)]

    def __repr__(self) -> str:
        return f"<SideFX API function {self.function_name}>"


def call(
    service: Service,
    name: str,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    timeout: Timeout = _SERVICE_TIMEOUT,
) -> Any:
    """Call the function with any ``name``, optionally with a ``timeout`` of its own.

    Result and errors are those of ``service.module.function(*args, **kwargs)``.
    """
    if not (isinstance(service, Service) and name and isinstance(name, str) and isinstance(args, (list, tuple))):
        raise TypeError("call() takes a service, the name of a function as text, and a list or tuple of arguments")
    kwargs = dict(**({} if kwargs is None else kwargs))  # raises TypeError for names that are not text
    try:
        return service._call(name, args, kwargs, service.timeout if timeout is _SERVICE_TIMEOUT else timeout)
    except APIError as error:
        hint = documented.hint(name, kwargs) if error.http_code in _REJECTED_CALL else None
        if hint:
            error.add_hint(hint)
        raise


def service(
    client_id: str | None = None,
    client_secret_key: str | None = None,
    access_token_url: str | None = None,
    endpoint_url: str | None = None,
    access_token: str | None = None,
    access_token_expiry_time: float | None = None,
    timeout: Timeout = DEFAULT_TIMEOUT,
    *,
    token_cache: str | os.PathLike[str] | None = None,
    session: requests.Session | None = None,
    retries: int = 3,
    ca_bundle: str | os.PathLike[str] | None = None,
) -> Service:
    """Return a Service with a valid token, which is requested now unless one is given or cached.

    client_id, client_secret_key: if they are omitted, the environment, the vendor's files and ~/.netrc are searched
    access_token_url, endpoint_url: other servers; default: SIDEFX_ACCESS_TOKEN_URL and SIDEFX_ENDPOINT_URL of the
        environment, else the vendor's
    access_token: a token to use; "" sends no Authorization header, for the local hserver
    access_token_expiry_time: its expiry in seconds since the epoch; None: used until the server rejects it
    timeout: seconds, (seconds to connect, seconds between bytes), or None to wait for ever
    token_cache: the path of a file that keeps tokens for other processes
    session: a requests.Session whose adapters, proxies, verify, cert and hooks are used
    retries: the greatest number of retries of a call, made only if they are safe
    ca_bundle: the path of a PEM file that replaces the public CA roots

    Raises ConfigError, AuthorizationError or TransportError. The pages: https://www.sidefx.com/docs/api/
    """
    options: dict[str, Any] = {"credentials": (client_id, optional(client_secret_key)), "token_cache": token_cache}
    token: Any = optional(access_token)
    del client_secret_key, access_token  # frames that raise must not hold them
    options.update(access_token_url=access_token_url, session=session, retries=retries, ca_bundle=ca_bundle)
    made = Service(endpoint_url, token, access_token_expiry_time, timeout, **options)
    made._require_token()
    return made


if not TYPE_CHECKING:
    service = documented.explained(service, client_secret="client_secret_key", secret="client_secret_key")


def _check_name(name: str) -> None:
    if name.startswith("_") or name in _PROBES:
        raise AttributeError(f"names starting with an underscore are not API functions: {name!r}")
