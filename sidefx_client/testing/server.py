"""LocalServer: what a test starts, scripts, and reads afterwards."""

from __future__ import annotations

import contextlib
import errno
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, overload

from werkzeug import Response

from . import certificates
from .application import Application
from .calls import Call, Download, Refusal, Stream, Upload
from .faults import Fault
from .sockets import HTTPServer

if TYPE_CHECKING:
    from sidefx_client import Service

__all__ = ["Call", "Download", "LocalServer", "Refusal", "Stream", "Upload"]

Function = TypeVar("Function", bound=Callable[..., Any])


class LocalServer:
    """A server on loopback that speaks as the SideFX Web API does; it runs from its creation until ``close()``.

        with LocalServer() as server:
            server.register("farm.count", lambda pool: 3)
            service = server.service()
            assert service.farm.count("day") == 3
            assert server.calls[-1].args == ["day"]

    The documented functions answer with made-up data. An exception in a registered function is a 500 for the client,
    is put in ``errors``, and is raised again when the server closes, so that no test passes over it; a test that
    expects it acknowledges it by ``server.errors.clear()``.

    ``tls``             HTTPS, with a certificate of an authority that ``ca_bundle`` names
    ``token_lifetime``  of the access tokens, in seconds
    ``build_size``      of the file of each build, in bytes (they are made in memory: below 512 MiB)
    ``debug``           what a 500 holds: a plain stack trace (False), a Django debug page (True), an old one ("old")
    ``newline``         its line ends: "\\n" or "\\r\\n"
    ``set_cookie``      a Set-Cookie header for every answer, such as "session=1"
    ``authenticate``    False takes calls without an access token, as ``hserver`` does

    Attributes may be changed while it runs. ``calls`` and ``downloads`` say what arrived, in that order; ``requests``
    counts all HTTP requests, ``token_requests`` those for a token; ``eula_accepted = False`` refuses builds.
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
    ) -> None:
        self.token_lifetime = token_lifetime
        self.build_size = build_size
        self.debug = debug
        self.newline = newline
        self.set_cookie = set_cookie
        self.authenticate = authenticate
        self.client_id = "local-client-id"
        self.client_secret = "local-client-secret"
        self.eula_accepted = True
        self.functions: dict[str, Callable[..., Any]] = {}
        self.calls: list[Call] = []
        self.downloads: list[Download] = []
        self.requests = 0
        self.token_requests = 0
        self._closing = threading.Event()
        self._resources = contextlib.ExitStack()
        self._application = Application(self)
        self._resources.callback(self._application.close)
        self._http = HTTPServer(self._application, certificates.server_context() if tls else None)
        self._resources.callback(self._http.close)
        self.errors = self._http.errors
        self.ca_bundle: str | None = None
        if tls:
            self.ca_bundle = self._resources.enter_context(certificates.authority().cert_pem.tempfile())
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._http.port}"
        self.access_token_url = f"{self.url}/oauth2/application_token"
        self.standard_token_url = f"{self.url}/oauth2/token"
        self.endpoint_url = f"{self.url}/api/"

    # Using it.

    def service(self, **options: Any) -> Service:
        """``sidefx_client.service()`` for this server; ``options`` go to it, and win over what is filled in here."""
        # Not by its public name, which a test may have replaced by this very method.
        from sidefx_client.proxy import service

        known: dict[str, Any] = {"endpoint_url": self.endpoint_url, "ca_bundle": self.ca_bundle}
        if self.authenticate:
            known["client_id"] = self.client_id
            known["client_secret_key"] = self.client_secret
            known["access_token_url"] = self.access_token_url
        else:
            known["access_token"] = ""
        return service(**{**known, **options})

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables with which a program of its own finds this server."""
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
        """Answers calls of ``name``, a documented one or not, with ``function``; a decorator where that is left out.

        It is called with the arguments of the call, an Upload for each file, in a thread for each connection. It
        returns what JSON can hold, or bytes or a Stream; it raises Refusal(status, text) to refuse.
        """
        if function is None:
            return lambda decorated: self.register(name, decorated)
        self.functions[name] = function
        return function

    # Faults. Each request meets the first one that is meant for it, `times` times (math.inf: always).

    def fail(
        self,
        status: int,
        message: str = "",
        *,
        times: float = 1,
        function: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Answers the next ``times`` calls with ``status`` and the plain text ``message``, and runs nothing.

        ``function`` None means calls of any function; else it is the name of one, or "token" for the requests for a
        token, or "download" for those for the file of a build.
        """

        def answer() -> Response:
            return Response(message, status, headers, mimetype="text/plain")

        self._application.faults.add(Fault(answer, function, times))

    def rate_limit(self, retry_after: int | str, *, times: float = 1, function: str | None = None) -> None:
        """Answers 429; ``retry_after`` is the header's value: seconds, or an HTTP date."""
        headers = {"Retry-After": str(retry_after)}
        self.fail(429, "Too many requests.", times=times, function=function, headers=headers)

    def drop(self, *, times: float = 1, function: str | None = None, after_reading: bool = True) -> None:
        """Closes the connection without an answer: after the request was read, or before the body of a call is.

        Nothing of a body is read before the name is known, so ``after_reading=False`` cannot be for one ``function``.
        """
        if function is not None and not after_reading:
            raise ValueError("after_reading=False drops calls before their function is known: leave out function")
        self._application.faults.add(Fault(self._cut, function, times, unread=not after_reading))

    def delay(self, seconds: float, *, times: float = 1, function: str | None = None) -> None:
        """Waits for ``seconds`` before answering as usual."""

        def wait() -> None:
            if self._closing.wait(seconds):
                self._cut()

        self._application.faults.add(Fault(wait, function, times))

    def revoke_tokens(self) -> None:
        """Refuses all access tokens given out until now."""
        self._application.tokens.clear()

    def expire_downloads(self) -> None:
        """Refuses all download URLs given out until now."""
        self._application.downloads.expire()

    # Reading it.

    @property
    def connections(self) -> int:
        """How many TCP connections were accepted."""
        return self._http.connections

    @property
    def handshakes(self) -> int:
        """How many TLS handshakes were completed."""
        return self._http.handshakes

    # Its end.

    def close(self) -> None:
        """Stops, leaving no thread and no socket, and raises the first of ``errors``; a second time does nothing."""
        if not self._closing.is_set():
            self._stop()
            if self.errors:
                raise self.errors[0]

    def __enter__(self) -> LocalServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # An error in the test is often the consequence of one here, which then says more. Ctrl-C and pytest's own
        # outcomes are no Exception, and stand.
        if error is None or isinstance(error, Exception):
            self.close()
        else:
            self._stop()

    def _stop(self) -> None:
        self._closing.set()
        self._resources.close()

    @staticmethod
    def _cut() -> NoReturn:
        # The HTTP server closes a connection quietly on what a client that went away raises.
        raise ConnectionResetError(errno.ECONNRESET, "scripted by LocalServer.drop()")
