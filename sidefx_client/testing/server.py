"""LocalServer: a test starts it, scripts faults, and reads the recorded calls."""

from __future__ import annotations

import contextlib
import errno
import threading
from collections.abc import Callable, Collection
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, overload

from werkzeug import Response

from . import certificates
from .application import Application
from .calls import Call, Download, Refusal, Stream, Upload, final_status
from .faults import Fault
from .sockets import HTTPServer

if TYPE_CHECKING:
    from sidefx_client import Service

__all__ = ["Call", "Download", "LocalServer", "Refusal", "Stream", "Upload"]

Function = TypeVar("Function", bound=Callable[..., Any])


class LocalServer:
    """A server on loopback that behaves like the SideFX Web API. It runs from its creation until ``close()``.

        with LocalServer() as server:
            server.register("farm.count", lambda pool: 3)
            service = server.service()
            assert service.farm.count("day") == 3
            assert server.calls[-1].args == ["day"]

    The documented functions return made-up data. An exception in a registered function is a 500 for the client. It is
    also appended to ``errors`` and raised again by ``close()``, so that the test fails. A test that expects it calls
    ``server.errors.clear()``.

    ``tls``             HTTPS; ``ca_bundle`` is the path of the authority's certificate
    ``token_lifetime``  of the access tokens, in seconds
    ``build_size``      of each build's file, in bytes (created in memory: below 512 MiB)
    ``debug``           body of a 500: a plain stack trace (False), a Django debug page (True), an old one ("old")
    ``newline``         line ends of that body: "\\n" or "\\r\\n"
    ``set_cookie``      a Set-Cookie header for every response, such as "session=1"
    ``authenticate``    False accepts calls without an access token, as ``hserver`` does
    ``port``            to listen on; 0 is any free port

    Attributes can be changed while it runs. ``eula_accepted = False`` refuses downloads of builds, and
    ``products = ["houdini"]`` refuses other products (None: the list for an unknown product is empty).
    ``calls`` and ``downloads`` are the received requests in order, ``requests`` counts all HTTP requests, and
    ``token_requests`` those for a token.
    """

    def __init__(
        self,
        *,
        tls: bool = False,
        token_lifetime: float = 43200,
        build_size: int = 1 << 20,
        debug: bool | str = False,
        newline: str = "\n",
        set_cookie: str | None = None,
        authenticate: bool = True,
        port: int = 0,
    ) -> None:
        self.token_lifetime = token_lifetime
        self.build_size = build_size
        self.debug = debug
        self.newline = newline
        self.set_cookie = set_cookie
        self.authenticate = authenticate
        self.client_id, self.client_secret = "local-client-id", "local-client-secret"
        self.eula_accepted = True
        self.products: Collection[str] | None = None
        self.functions: dict[str, Callable[..., Any]] = {}
        self.calls: list[Call] = []
        self.downloads: list[Download] = []
        self.requests = 0
        self.token_requests = 0
        self._closing = threading.Event()
        self._resources = contextlib.ExitStack()
        self._application = Application(self)
        self._resources.callback(self._application.close)
        self._http = HTTPServer(self._application, certificates.server_context() if tls else None, port)
        self._resources.callback(self._http.close)
        self.errors = self._http.errors
        self.ca_bundle: str | None = None
        if tls:
            self.ca_bundle = self._resources.enter_context(certificates.authority().cert_pem.tempfile())
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._http.port}"
        self.access_token_url = f"{self.url}/oauth2/application_token"
        self.standard_token_url = f"{self.url}/oauth2/token"
        self.endpoint_url = f"{self.url}/api/"

    def service(self, *, waits: bool = False, **options: Any) -> Service:
        """Return ``sidefx_client.service(**options)`` with the URLs and credentials of this server as defaults.

        Its retries do not wait, neither for the backoff nor for Retry-After, unless ``waits`` is True.
        """
        # sidefx_client.service may be replaced by this method in a test, so do not call it.
        from sidefx_client.proxy import Service
        from sidefx_client.secret import optional

        known: dict[str, Any] = {"endpoint_url": self.endpoint_url, "ca_bundle": self.ca_bundle}
        if self.authenticate:
            known["client_id"] = self.client_id
            known["client_secret_key"] = self.client_secret
            known["access_token_url"] = self.access_token_url
        else:
            known["access_token"] = ""
        known.update(options)
        credentials = known.pop("client_id", None), optional(known.pop("client_secret_key", None))
        reference = [known.pop(name, None) for name in ("endpoint_url", "access_token", "access_token_expiry_time")]
        made = Service(*reference, credentials=credentials, waits=waits, **known)
        made._require_token()
        return made

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables with which another program uses this server."""
        variables = {
            "SIDEFX_CLIENT_ID": self.client_id,
            "SIDEFX_CLIENT_SECRET": self.client_secret,
            "SIDEFX_ENDPOINT_URL": self.endpoint_url,
            "SIDEFX_ACCESS_TOKEN_URL": self.access_token_url,
        }
        if self.ca_bundle is not None:
            variables["REQUESTS_CA_BUNDLE"] = self.ca_bundle
        return variables

    @overload
    def register(self, name: str, function: Function) -> Function: ...
    @overload
    def register(self, name: str) -> Callable[[Function], Function]: ...
    def register(self, name: str, function: Function | None = None) -> Any:
        """Run ``function`` for calls of ``name``, documented or not. Without ``function``, return a decorator.

        It gets the arguments of the call, with an Upload for each file, in one thread per connection. It returns a
        JSON value, bytes or a Stream, or raises Refusal(status, text).
        """
        if function is None:
            return lambda decorated: self.register(name, decorated)
        self.functions[name] = function
        return function

    # Faults. Each request takes the first fault that applies to it, `times` times (math.inf: always).

    def fail(
        self,
        status: int,
        message: str = "",
        *,
        times: float = 1,
        function: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Respond to the next ``times`` calls with ``status`` and the plain text ``message``, without running them.

        ``function`` is a function's name, "token" for token requests, or "download" for requests for build files. None
        means calls of any function. A name that looks misspelled is a ValueError.
        """

        def respond() -> Response:
            return Response(message, status, headers, mimetype="text/plain")

        final_status(status)
        self._add(Fault(respond, function, times))

    def rate_limit(self, retry_after: int | str, *, times: float = 1, function: str | None = None) -> None:
        """Respond with 429. ``retry_after`` is the header's value: seconds, or an HTTP date."""
        headers = {"Retry-After": str(retry_after)}
        self.fail(429, "Too many requests.", times=times, function=function, headers=headers)

    def drop(self, *, times: float = 1, function: str | None = None, after_reading: bool = True) -> None:
        """Close the connection without a response, after reading the request or before reading the body of a call.

        The function's name is in the body, so ``after_reading=False`` cannot be limited to one ``function``.
        """
        if function is not None and not after_reading:
            raise ValueError("after_reading=False drops calls before their function is known: leave out function")
        self._add(Fault(self._cut, function, times, unread=not after_reading))

    def delay(self, seconds: float, *, times: float = 1, function: str | None = None) -> None:
        """Wait ``seconds`` before the usual response."""

        def wait() -> None:
            if self._closing.wait(seconds):
                self._cut()

        self._add(Fault(wait, function, times))

    def _add(self, fault: Fault) -> None:
        self._application.faults.add(fault, {*self._application.functions.table, *self.functions})

    def revoke_tokens(self) -> None:
        """Refuse all access tokens issued so far."""
        self._application.tokens.clear()

    def expire_downloads(self) -> None:
        """Refuse all download URLs issued so far."""
        self._application.downloads.expire()

    @property
    def connections(self) -> int:
        """The number of accepted TCP connections."""
        return self._http.connections

    @property
    def handshakes(self) -> int:
        """The number of completed TLS handshakes."""
        return self._http.handshakes

    def close(self) -> None:
        """Stop all threads, close all sockets, and raise the first of ``errors``. Can be called again."""
        if not self._closing.is_set():
            self._stop()
            if self.errors:
                raise self.errors[0]

    def __enter__(self) -> LocalServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # An error in the test is often the result of an error here, which is clearer, so raise that one. Ctrl-C and
        # pytest's outcomes are not Exceptions and stay.
        if error is None or isinstance(error, Exception):
            self.close()
        else:
            self._stop()

    def _stop(self) -> None:
        self._closing.set()
        self._resources.close()

    @staticmethod
    def _cut() -> NoReturn:
        # The HTTP server handles this like a client's reset and closes the connection quietly.
        raise ConnectionResetError(errno.ECONNRESET, "scripted by LocalServer.drop()")
