"""One connection to a server: urllib3's class, extended to record whether a request was started.

It records whether a byte of a request was sent before a failure, reads a response that comes before the end of an
upload, and detects surplus bytes, after which the connection must not be used again.
"""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import ssl
import threading
import weakref
from collections.abc import Callable
from typing import Any

from .raw_response import RawResponse

# One TLS write a block: 256 KiB measured best, 1 MiB gains little, and urllib3's 16 KiB doubles the CPU of an upload.
BLOCK = 256 * 1024
KEEPALIVE_IDLE = 60  # seconds: NAT devices forget connections that are idle for minutes


class Attempt:
    """One attempt to send a request. Use it with ``with`` around the sending, in the sending thread.

    ``request_started``: True once a byte of the request was sent, False before, None if the connection is not ours
    and cannot tell. ``on_socket`` is called with the socket when the sending starts.
    """

    _current = threading.local()

    def __init__(self, read_timeout: float | None, on_socket: Callable[[socket.socket], object] | None = None) -> None:
        self.request_started: bool | None = None
        self.read_timeout = read_timeout
        self.on_socket = on_socket

    @classmethod
    def current(cls) -> Attempt:
        """Return the attempt of this thread, because urllib3 cannot pass it from its caller to a connection."""
        return getattr(cls._current, "attempt", None) or cls(None)

    def __enter__(self) -> Attempt:
        self._outer = getattr(self._current, "attempt", None)  # a progress function may make a call of its own
        self._current.attempt = self
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._current.attempt = self._outer


class ObservedConnection:
    """A mixin for a connection class of urllib3, which follows in the MRO."""

    sock: Any
    response: RawResponse | None = None  # the last response
    idle_since = 0.0  # by time.monotonic()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "blocksize": BLOCK})
        self._connecting = False

    def response_class(self, sock: Any, *args: Any, **kwargs: Any) -> RawResponse:
        """Make the response that http.client fills."""
        self.response = RawResponse(sock, *args, **kwargs)
        return self.response

    def _new_conn(self) -> Any:
        sock = super()._new_conn()  # type: ignore[misc]
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        idle = getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", None))  # the latter on macOS
        if idle is not None:
            with contextlib.suppress(OSError):  # such as a socket that is not TCP
                sock.setsockopt(socket.IPPROTO_TCP, idle, KEEPALIVE_IDLE)
        return sock

    def connect(self) -> None:
        self._connecting = True
        try:
            super().connect()  # type: ignore[misc]
        finally:
            self._connecting = False
        if isinstance(self.sock, ssl.SSLSocket):
            # Python returns a socket without TLS if the peer resets the connection before the handshake.
            if self.sock.version() is None:
                raise ConnectionResetError("the connection was closed before the TLS handshake")
            # Otherwise a body that is delimited by the end of the connection looks complete when it is truncated.
            self.sock.suppress_ragged_eofs = False  # type: ignore[attr-defined]

    def send(self, data: Any) -> None:
        if self._connecting:  # the CONNECT to a proxy, not yet the request
            super().send(data)  # type: ignore[misc]
            return
        if self.sock is None:
            self.connect()
        attempt = Attempt.current()
        if not attempt.request_started:
            if isinstance(self.sock, ssl.SSLSocket) and _OPENSSL_KEEPS_ERRORS:
                clear_openssl_errors()
            # urllib3 would apply the connect timeout to the sending of the body.
            self.sock.settimeout(attempt.read_timeout)
            attempt.request_started = True
            if attempt.on_socket is not None:
                attempt.on_socket(self.sock)
        try:
            super().send(data)  # type: ignore[misc]
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionResetError) as error:
            # urllib3 reads a response (such as a 401 or 413) after a BrokenPipeError only.
            raise BrokenPipeError(str(error)) from error

    def close(self) -> None:
        is_tls = isinstance(self.sock, ssl.SSLSocket)
        super().close()  # type: ignore[misc]
        if is_tls and _OPENSSL_KEEPS_ERRORS:
            clear_openssl_errors()

    def has_surplus(self) -> bool:
        """Return whether bytes arrived after the response, which would be read as the next response."""
        if self.response is not None and self.response.surplus:
            return True
        return bool(self.sock is not None and hasattr(self.sock, "pending") and self.sock.pending())


_OPENSSL_KEEPS_ERRORS = ssl.OPENSSL_VERSION_INFO >= (3, 4)


def clear_openssl_errors() -> None:
    """Empty this thread's queue of OpenSSL errors.

    With OpenSSL 3.4 and newer CPython leaves the errors of a broken TLS connection in the queue. Then each read that
    has to wait raises them again, on every connection of the thread. Refusing a cipher list empties the queue.
    """
    with contextlib.suppress(ssl.SSLError):
        _idle_context().set_ciphers("")


@functools.cache
def _idle_context() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@functools.cache
def observed(connection_class: type) -> type:
    """Return ``connection_class`` with ObservedConnection added. Classes of test tools (vcrpy) are used as they are."""
    if not connection_class.__module__.startswith("urllib3."):
        return connection_class
    return type(connection_class.__name__, (ObservedConnection, connection_class), {})


_renewables: weakref.WeakSet[Any] = weakref.WeakSet()


def run_after_fork(renewable: Any) -> None:
    """Call ``renewable.after_fork_in_child()`` in every child forked from now on, as long as ``renewable`` lives.

    A forked child cannot share connections and locks with its parent.
    """
    _renewables.add(renewable)


def _after_fork_in_child() -> None:
    for renewable in list(_renewables):
        renewable.after_fork_in_child()


if hasattr(os, "register_at_fork"):  # Windows cannot fork
    os.register_at_fork(after_in_child=_after_fork_in_child)
