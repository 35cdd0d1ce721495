"""One connection to a server: urllib3's class, made to record whether a request was started and to read strictly.

urllib3 leaves four things open that are settled here: whether a byte of a request was sent before it failed, whether
a response that comes before the end of an upload is read, whether a truncated head passes for a shorter one, and
whether bytes that follow a response make the connection unusable.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import io
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

from urllib3.exceptions import HeaderParsingError
from urllib3.util.response import assert_header_parsing

# One TLS write a block: 256 KiB measured best, 1 MiB gains little, and urllib3's 16 KiB doubles the CPU of an upload.
BLOCK = 256 * 1024
MAX_HEAD_LINES = 1000  # lines in a row that are not of a body: head, interim responses, trailers
KEEPALIVE_IDLE = 60  # seconds: NAT devices forget connections that are idle for minutes

_TLS_RECORD = 16 * 1024  # bytes: OpenSSL returns no more at once


class Attempt:
    """One attempt to send a request. Used with ``with`` around the sending, in the thread that sends.

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
        """Return the attempt that this thread makes. urllib3 has no other way from its caller to a connection."""
        return getattr(cls._current, "attempt", None) or cls(None)

    def __enter__(self) -> Attempt:
        self._outer = getattr(self._current, "attempt", None)  # a progress function may make a call of its own
        self._current.attempt = self
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._current.attempt = self._outer


class ObservedConnection:
    """The part added to a connection class of urllib3, which follows in the MRO."""

    sock: Any
    response: StrictResponse | None = None  # the last one
    idle_since = 0.0  # by time.monotonic()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "blocksize": BLOCK})
        self._connecting = False

    def response_class(self, sock: Any, *args: Any, **kwargs: Any) -> StrictResponse:
        """Make the response that http.client fills."""
        self.response = StrictResponse(sock, *args, **kwargs)
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
            if isinstance(self.sock, ssl.SSLSocket):
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
        if is_tls:
            clear_openssl_errors()

    def has_surplus(self) -> bool:
        """Return whether bytes arrived that do not belong to a response, so that the next one could be wrong."""
        if self.response is not None and self.response.surplus:
            return True
        return bool(self.sock is not None and hasattr(self.sock, "pending") and self.sock.pending())


_CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def clear_openssl_errors() -> None:
    """Empty this thread's queue of OpenSSL errors.

    With OpenSSL 3.4 and newer CPython leaves the errors of a broken TLS connection in the queue. Then each read that
    has to wait raises them again, on every connection of the thread. Refusing a cipher list empties the queue.
    """
    with contextlib.suppress(ssl.SSLError):
        _CONTEXT.set_ciphers("")


@functools.cache
def observed(connection_class: type) -> type:
    """Return ``connection_class`` with ObservedConnection added. Classes of test tools (vcrpy) are used as they are."""
    if not connection_class.__module__.startswith("urllib3."):
        return connection_class
    return type(connection_class.__name__, (ObservedConnection, connection_class), {})


class StrictResponse(http.client.HTTPResponse):
    """A response whose head is complete and well-formed, or an HTTPException.

    http.client accepts a truncated head as one with fewer headers, a line that is not a header as the end of the head,
    and 103 (Early Hints) as the response, so that the real one becomes that of the next call.
    """

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = _Lines(self.fp.detach())
        self.surplus = False
        self._sock = sock
        self._failure: OSError | None = None

    def begin(self) -> None:
        lines: Any = self.fp
        while True:
            lines.in_head = True
            self.headers = None  # type: ignore[assignment]
            super().begin()
            lines.in_head = False
            if not 102 <= self.status < 200:  # http.client itself reads past 100
                break
        if self.status == 101:
            self.will_close = True
        try:
            assert_header_parsing(self.headers)
        except HeaderParsingError:
            raise http.client.HTTPException("the response head is malformed") from None
        codings = self.headers.get("Transfer-Encoding", "chunked" if self.chunked else "identity").lower()
        if codings != ("chunked" if self.chunked else "identity"):
            raise http.client.HTTPException("unsupported Transfer-Encoding")

    def read(self, amt: int | None = None) -> bytes:
        return super().read() if amt is None else self.read1(amt)

    def read1(self, n: int = -1) -> bytes:
        """Return up to ``n`` bytes of the body as soon as some have arrived; b"" at its end."""
        if self.fp is None:
            return b""
        left: int | None = self._get_chunk_left() if self.chunked else self.length  # type: ignore[attr-defined]
        if self.fp is None:  # after the last chunk
            return b""
        size = BLOCK if n < 0 else n
        size = size if left is None else min(size, left)
        data = self._arrived(size)
        if self.chunked:
            if not data and size:
                raise http.client.IncompleteRead(b"")
            self.chunk_left = (left or 0) - len(data)
            return data
        if left is not None:
            self.length = left - len(data)
        if self.length == 0:
            self._look_for_surplus()
        if self.length == 0 or (size and not data):
            self._close_conn()
        return data

    def _arrived(self, size: int) -> bytes:
        """Wait for the first bytes, then add those that have arrived meanwhile, up to ``size`` bytes."""
        if self._failure is not None:
            raise self._failure
        fp: Any = self.fp
        fp.lines = 0
        if not isinstance(self._sock, ssl.SSLSocket):
            return bytes(fp.read1(size))  # one system call returns all of it
        first: bytes = fp.read1(min(size, _TLS_RECORD))
        if not first or len(first) >= size:
            return first
        blocks, left = [first], size - len(first)
        with _without_waiting(self._sock):
            try:
                while left and (block := fp.read1(min(left, _TLS_RECORD))):
                    blocks.append(block)
                    left -= len(block)
            except (ssl.SSLWantReadError, BlockingIOError):
                pass
            except OSError as error:  # raised by the next read, after the bytes that arrived before it
                self._failure = error
        return b"".join(blocks)

    def _read_next_chunk_size(self) -> int:
        try:
            size: int = super()._read_next_chunk_size()  # type: ignore[misc]
        except ValueError:
            size = -1
        if size < 0:
            raise http.client.HTTPException("the response has an invalid chunk size")
        return size

    def _read_and_discard_trailer(self) -> None:
        super()._read_and_discard_trailer()  # type: ignore[misc]
        self._look_for_surplus()

    def _look_for_surplus(self) -> None:
        """Look for bytes after the body: http.client drops them, and the next response would be a wrong one."""
        with _without_waiting(self._sock):
            try:
                self.surplus = bool(self.fp.peek(1))
            except (ssl.SSLWantReadError, BlockingIOError):
                pass
            except (OSError, ValueError):
                self.surplus = True

    def _close_conn(self) -> None:
        fp, self.fp = self.fp, None  # type: ignore[assignment]  # two threads may close it
        if fp is not None:
            fp.close()


class _Lines(io.BufferedReader):
    in_head = False
    lines = 0

    def readline(self, limit: int | None = -1) -> bytes:
        line = super().readline(limit)
        self.lines += 1
        if self.lines > MAX_HEAD_LINES:
            raise http.client.HTTPException(f"the response has more than {MAX_HEAD_LINES} header lines")
        truncated = not line.endswith(b"\n") and len(line) != limit
        if truncated and (line or self.in_head):  # some servers omit the empty line after the last chunk
            raise http.client.RemoteDisconnected("the connection was closed in the middle of a line")
        # Python splits headers at a lone CR, so that two readers see different headers.
        if self.in_head and b"\r" in line.replace(b"\r\n", b""):
            raise http.client.HTTPException("the response head is malformed")
        return line


@contextlib.contextmanager
def _without_waiting(sock: Any) -> Any:
    """Let reads fail instead of waiting for data."""
    try:
        timeout = sock.gettimeout()
        sock.settimeout(0)
    except OSError:  # closed
        yield
        return
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            sock.settimeout(timeout)
