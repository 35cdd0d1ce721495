"""The response as it arrives: http.client's class, strict about the head, and without waiting for whole blocks.

http.client accepts a truncated head, and ends the head at a line that is not a header. It takes 103 (Early Hints) for
the response, and the next call then reads the real one. It waits for whole blocks, which are lost if the connection
breaks. It drops bytes that follow the body.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import ssl
from collections.abc import Iterator
from typing import Any

from urllib3.exceptions import HeaderParsingError
from urllib3.util.response import assert_header_parsing

MAX_HEAD_LINES = 1000  # consecutive lines outside a body: head, interim responses, trailers

_BLOCK = 256 * 1024
_TLS_RECORD = 16 * 1024  # bytes: OpenSSL returns no more at once


class RawResponse(http.client.HTTPResponse):
    """A response with a well-formed head; otherwise it raises an HTTPException.

    A read returns as soon as bytes have arrived. ``surplus`` tells whether bytes follow the body.
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
        coding = self.headers.get("Transfer-Encoding", "").strip().lower()
        if coding not in ("", "identity", "chunked"):
            raise http.client.HTTPException("unsupported Transfer-Encoding")
        if coding == "chunked" and not self.chunked:  # http.client overlooks it if blanks follow
            self.chunked, self.chunk_left, self.length = True, None, None

    def read(self, amt: int | None = None) -> bytes:
        return super().read() if amt is None else self.read1(amt)

    def read1(self, n: int = -1) -> bytes:
        """Return up to ``n`` bytes of the body as soon as some have arrived; b"" at its end."""
        if self.fp is None:
            return b""
        left: int | None = self._get_chunk_left() if self.chunked else self.length  # type: ignore[attr-defined]
        if self.fp is None:  # after the last chunk
            return b""
        size = _BLOCK if n < 0 else n
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
        count = len(first)
        if not first or count >= size:
            return first
        data = bytearray(size)
        data[:count] = first
        view = memoryview(data)
        with _without_waiting(self._sock):
            try:
                while count < size and (more := self._sock.recv_into(view[count:])):
                    count += more
            except (ssl.SSLWantReadError, BlockingIOError):
                pass
            except OSError as error:  # raised by the next read, after the bytes that arrived before it
                self._failure = error.with_traceback(None)  # which holds the buffer
        # A full block is not copied to bytes, which would cost CPU.
        return data if count == size else bytes(view[:count])  # type: ignore[return-value]

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
        """Look for bytes after the body: http.client drops them, and the next response would be wrong."""
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
        # Python splits headers at a lone CR and a proxy may not, so both would see different headers.
        if self.in_head and b"\r" in line.replace(b"\r\n", b""):
            raise http.client.HTTPException("the response head is malformed")
        return line


@contextlib.contextmanager
def _without_waiting(sock: Any) -> Iterator[None]:
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
