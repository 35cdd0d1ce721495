"""One connection to a server, and the responses that arrive on it: the classes of urllib3 and http.client, extended.

The connection records whether a byte of a request was sent before a failure. It also reads a response that comes before
the end of an upload. The response corrects http.client, which accepts a truncated head and ends a head at a malformed
line. http.client also takes 103 (Early Hints) for the response, and drops bytes that follow the body.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import ssl
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from urllib3.util.response import assert_header_parsing

# The size of a read and of a TLS write. 256 KiB measured best: 1 MiB gains little, 16 KiB doubles the CPU of an upload.
BLOCK = 256 * 1024
MAX_HEAD_LINES = 1000  # consecutive lines outside a body: head, interim responses, trailers

_PAUSE, _MAX_COLLECTING = 0.005, 0.02  # seconds: collecting ends after this silence, or this time in all

_IDLE_CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if ssl.OPENSSL_VERSION_INFO >= (3, 4) else None

OnSocket = Callable[[socket.socket], object]


class Attempt:
    """One attempt to send a request, which is the value of ``in_flight`` meanwhile.

    ``request_started`` is True once a byte of the request was sent, and False if a new connection failed before. None
    means that the connection is not ours. ``on_socket`` is called with the socket when the sending starts.
    """

    def __init__(self, read_timeout: float | None = None, on_socket: OnSocket | None = None) -> None:
        self.request_started: bool | None = None
        self.read_timeout = read_timeout
        self.on_socket = on_socket


in_flight: ContextVar[Attempt] = ContextVar("in_flight")  # urllib3 cannot pass it from its caller to a connection


class ObservedConnection:
    """A mixin for a connection class of urllib3, which follows in the MRO."""

    sock: Any
    response: RawResponse | None = None  # the last response

    def response_class(self, sock: Any, *args: Any, **kwargs: Any) -> RawResponse:
        """Make the response that http.client fills."""
        self.response = RawResponse(sock, *args, **kwargs)
        return self.response

    def _new_conn(self) -> Any:
        in_flight.get(Attempt()).request_started = False
        sock = super()._new_conn()  # type: ignore[misc]
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        idle = getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", None))  # the latter on macOS
        if idle is not None:
            with contextlib.suppress(OSError):  # such as a socket that is not TCP
                sock.setsockopt(socket.IPPROTO_TCP, idle, 60)  # seconds: NAT devices forget idle connections
        return sock

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        if hasattr(self.sock, "suppress_ragged_eofs"):  # TLS, also within TLS
            # Python returns a socket without TLS if the peer resets the connection before the handshake.
            if self.sock.version() is None:
                raise ConnectionResetError("the connection was closed before the TLS handshake")
            # By default a body without a length looks complete when it is truncated.
            self.sock.suppress_ragged_eofs = False

    def endheaders(self, *args: Any, **kwargs: Any) -> Any:
        """Send the head of the request, and record that. The CONNECT to a proxy does not pass here."""
        if self.sock is None:
            self.connect()
        clear_openssl_errors()
        attempt = in_flight.get(Attempt())
        attempt.request_started = True
        # urllib3 would apply the connect timeout to the sending of the body.
        self.sock.settimeout(attempt.read_timeout)
        if attempt.on_socket is not None:
            attempt.on_socket(self.sock)
        return super().endheaders(*args, **kwargs)  # type: ignore[misc] # urllib3-future needs the result

    def send(self, data: Any) -> Any:
        try:
            return super().send(data)  # type: ignore[misc]
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionResetError) as error:
            # urllib3 reads a response (such as a 401 or 413) after a BrokenPipeError only.
            raise BrokenPipeError(str(error)) from error

    def close(self) -> None:
        super().close()  # type: ignore[misc]
        clear_openssl_errors()

    def is_reusable(self, idle_limit: float) -> bool:
        """Return False after ``idle_limit`` seconds, or if surplus bytes would be read as the next response."""
        if self.response is None or self.sock is None:
            return True
        # TLS within TLS keeps the bytes of its inner connection in a buffer, where a poll does not see them.
        tls, encrypted = getattr(self.sock, "sslobj", self.sock), getattr(self.sock, "incoming", ssl.MemoryBIO())
        has_surplus = self.response.has_surplus or encrypted.pending or (hasattr(tls, "pending") and tls.pending())
        return not has_surplus and time.monotonic() - self.response.ended_at <= idle_limit


def clear_openssl_errors() -> None:
    """Empty this thread's queue of OpenSSL errors.

    With OpenSSL 3.4 and newer CPython leaves the errors of a broken TLS connection in the queue. Then each read that
    has to wait raises them again, on every connection of the thread. Refusing a cipher list empties the queue.
    """
    if _IDLE_CONTEXT is not None:
        with contextlib.suppress(ssl.SSLError):
            _IDLE_CONTEXT.set_ciphers("")


class RawResponse(http.client.HTTPResponse):
    """A response with a well-formed head; otherwise it raises an HTTPException.

    ``read1()`` returns as soon as bytes have arrived. ``has_surplus`` tells whether bytes follow the body, and
    ``ended_at`` when its end was read, by time.monotonic().
    """

    fp: Any

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        raw = self.fp.detach()
        raw.__class__ = _SocketReader  # not a new object, because makefile() counts the users of the socket
        self.fp = _Reader(raw)
        self.has_surplus, self.ended_at = False, 0.0

    def begin(self) -> None:
        self.fp.in_head = True
        super().begin()
        while 102 <= self.status < 200:  # http.client itself skips 100 only
            self.headers = None  # type: ignore[assignment]
            super().begin()
        self.fp.in_head = False
        self.will_close = self.will_close or self.status == 101
        assert_header_parsing(self.headers)
        coding = self.headers.get("Transfer-Encoding", "").strip().lower()
        if coding not in ("", "identity", "chunked"):
            raise http.client.HTTPException("unsupported Transfer-Encoding")
        if coding == "chunked":  # http.client overlooks it if blanks follow
            self.chunked, self.chunk_left, self.length = True, None, None

    def _read_next_chunk_size(self) -> int:
        size: int = super()._read_next_chunk_size()  # type: ignore[misc]
        if size < 0:
            raise ValueError  # http.client turns it into IncompleteRead
        return size

    def _close_conn(self) -> None:
        fp, self.fp = self.fp, None  # two threads may close it
        if fp is not None:
            self.ended_at = time.monotonic()
            # http.client drops buffered bytes after the body, so the next response would begin with the rest of them.
            fp.raw.is_ended = True
            self.has_surplus = fp.closed or bool(fp.peek(1))
            fp.close()


class _SocketReader(socket.SocketIO):
    """The bytes of a socket. A large read also takes the TLS records that follow at once.

    Once ``is_ended`` is set, it reads no more, so that only the bytes in the buffer above it are left.
    """

    is_ended = False
    _sock: Any
    _failure: OSError | None = None

    def readinto(self, buffer: Any) -> int | None:
        if self.is_ended:
            return 0
        if self._failure is not None:
            raise self._failure
        count = super().readinto(buffer)
        # OpenSSL returns one TLS record at a time, of at most 16 KiB.
        if count and len(buffer) > 16 * 1024 and isinstance(self._sock, ssl.SSLSocket):
            count += self._collect(memoryview(buffer)[count:])
        return count

    def _collect(self, view: memoryview) -> int:
        count, size, timeout, end = 0, len(view), self._sock.gettimeout(), time.monotonic() + _MAX_COLLECTING
        self._sock.settimeout(_PAUSE)
        try:
            while count < size and time.monotonic() < end and (more := self._sock.read(size, view[count:])):
                count += more
        except OSError as error:
            if not isinstance(error, (socket.timeout, ssl.SSLWantReadError)):
                # Raised by the next read, because bytes arrived before it. Its traceback would keep the buffer alive.
                self._failure = error.with_traceback(None)
        finally:
            self._sock.settimeout(timeout)
        return count


class _Reader(io.BufferedReader):
    """The buffer between http.client and the socket. It refuses lines that http.client would misunderstand."""

    in_head = False
    _lines = 0  # since the last body bytes

    def readline(self, limit: int | None = -1) -> bytes:
        line = super().readline(limit)
        self._lines += 1
        if self._lines > MAX_HEAD_LINES:
            raise http.client.HTTPException(f"the response has more than {MAX_HEAD_LINES} header lines")
        truncated = not line.endswith(b"\n") and len(line) != limit
        if truncated and (line or self.in_head):  # some servers omit the empty line after the last chunk
            raise http.client.RemoteDisconnected("the connection was closed in the middle of a line")
        # Python splits headers at a lone CR and a proxy may not, so both would see different headers.
        if self.in_head and b"\r" in line[:-2]:
            raise http.client.HTTPException("the response head is malformed")
        return line

    def read1(self, size: int = -1) -> bytes:
        self._lines = 0
        return super().read1(size)
