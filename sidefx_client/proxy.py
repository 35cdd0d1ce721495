"""The proxy: ``service.module.function(...)`` becomes ``Client.call("module.function", ...)``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from .auth import given_token
from .client import Client
from .documented import functions as documented
from .documented.suggest import explains_arguments
from .errors import APIError
from .secret import Secret, optional
from .transport.session import DEFAULT_TIMEOUT, Timeout, require_timeout

_PROBES = ("getdoc", "trait_names")  # IPython asks any object for these
_PACKAGE_FUNCTIONS = {  # by the names under which people look for them on a service
    "download_build": 'sidefx_client.download_build(service, "houdini", "20.5")',
    "download_file": "sidefx_client.download_file(url, path)",
    "call": 'sidefx_client.call(service, "module.function", args, kwargs)',
}
# Statuses of a server that does not know a function or a parameter; the vendor's pages do not say which.
_REJECTED_CALL = (400, 404, 405, 422, 500, 501)


_SERVICE_TIMEOUT: Any = "the service's"  # stands for an omitted timeout, because None means to wait for ever


class Service(documented.Catalogue):
    """The API: ``service.module.function(*args, **kwargs)`` calls ``module.function`` on the server.

    Any names, to any depth, go to the server, and so do all keyword arguments. ``dir()`` and ``help()`` know the
    documented ones. ``close()``, or ``with``, closes the connections. Many threads may share a service. Use
    ``service()`` to make one. The class itself takes a token, and uses one without an expiry until the server rejects
    it.
    """

    @explains_arguments(4, "Service takes a URL, a token and its expiry; for an id and a secret use service()")
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
            token = optional(access_token)
            del access_token  # frames that raise must not hold it
            client = Client((None, None), given_token(token, access_token_expiry_time), None, endpoint_url, timeout)
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
        """The current token in plain text. One that is set is used from the next call on."""
        token = self._client.tokens.token
        return token.reveal() if token is not None else None

    @access_token.setter
    def access_token(self, value: str | None) -> None:
        given = optional(value)
        del value
        self._client.tokens.token = given_token(given, None)

    @property
    def access_token_expiry_time(self) -> float | None:
        """When the token is renewed, in seconds since the epoch; None if that is not known."""
        token = self._client.tokens.token
        return token.expiry if token is not None else None

    @access_token_expiry_time.setter
    def access_token_expiry_time(self, expiry: float | None) -> None:
        token = self._client.tokens.token
        if token is not None:
            self._client.tokens.token = given_token(Secret(token.reveal()), expiry)

    @property
    def timeout(self) -> Timeout:
        """Seconds, (seconds to connect, seconds between bytes), or None to wait for ever."""
        return self._client.timeout

    @timeout.setter
    def timeout(self, timeout: Timeout) -> None:
        require_timeout(timeout)
        self._client.timeout = timeout

    def close(self) -> None:
        """Close the connections. Later calls raise TypeError."""
        self._client.session.close()

    def __enter__(self) -> Service:
        self._client.session.require_open()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __dir__(self) -> list[str]:
        return [name for name in {*object.__dir__(self), *documented.MODULES} if not _is_private(name)]

    def __repr__(self) -> str:
        return f"<SideFX service at {self.endpoint_url}>"

    def __copy__(self) -> Service:
        return self  # a copy would share the connections and the token

    def __deepcopy__(self, memo: Any) -> Service:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a service holds connections and a token: make one in each process, it cannot be pickled")


class _Help:
    """An attribute made by documented/help.py when it is read, because that imports inspect (5 ms)."""

    def __init__(self, kind: str, default: str | None) -> None:
        self._kind = kind
        self._default = default

    def __get__(self, instance: object | None, owner: type) -> Any:
        found = self._default
        if instance is not None:
            from .documented import help as documented_help

            found = getattr(documented_help, self._kind)(vars(instance).get("function_name", "")) or found
        if found is None:
            raise AttributeError("this name is not documented")
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
        if name == "function_name":  # the object was not initialized
            raise AttributeError(name)
        return APIFunction(f"{self.function_name}.{name}", self.service)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the function. Every keyword argument goes to the server. Raises the errors of the package."""
        name = self.function_name
        if name in _PACKAGE_FUNCTIONS:
            raise TypeError(f"{name} is not a method of a service: use {_PACKAGE_FUNCTIONS[name]}")
        if "." not in name:
            raise TypeError(
                f"{name!r} is a module of functions: call one of them. For a function of that name use "
                f"sidefx_client.call(service, {name!r})"
            )
        return _call(self.service._client, name, args, kwargs, self.service._client.timeout)

    def __dir__(self) -> list[str]:
        names = {*object.__dir__(self), *documented.functions(self.function_name)} - {"__signature__"}
        return [name for name in names if not _is_private(name)]

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
    if not isinstance(service, Service):
        raise TypeError(f"call() takes a service, then the name of a function, not {type(service).__name__}")
    if not isinstance(name, str) or not name:
        raise TypeError("the name of a function must be text, such as 'download.get_daily_builds_list'")
    if isinstance(args, (str, bytes)) or not isinstance(args, Sequence):
        raise TypeError("args must be a list or a tuple of positional arguments")
    if kwargs is not None and not (isinstance(kwargs, Mapping) and all(isinstance(key, str) for key in kwargs)):
        raise TypeError("kwargs must be a dictionary with text keys")
    client = service._client
    return _call(client, name, args, kwargs or {}, client.timeout if timeout is _SERVICE_TIMEOUT else timeout)


def _call(client: Client, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], timeout: Timeout) -> Any:
    try:
        return client.call(name, args, kwargs, timeout)
    except APIError as error:
        hint = documented.hint(name, kwargs) if error.http_code in _REJECTED_CALL else None
        if hint:
            error.add_hint(hint)
        raise


def _check_name(name: str) -> None:
    if name.startswith("_") or name in _PROBES:
        raise AttributeError(f"names starting with an underscore are not API functions: {name!r}")


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")
