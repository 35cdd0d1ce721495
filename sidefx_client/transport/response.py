"""The body of a response: complete and decompressed, or an error.

All bodies are read here: JSON, error texts, streams and downloads, also if a response hook has read them before.
urllib3 1.26 does not report a truncated body. Neither 1.26 nor 2 reports a gzip stream that is truncated within a
complete body. Both decode any number of codings.
"""

from __future__ import annotations

import codecs
import http.client
import io
import re
import zlib
from collections.abc import Iterator
from typing import Any, NoReturn

import requests

from ..errors import TransportError, clean
from ..urls import origin
from .connection import BLOCK, RawResponse
from .failures import NETWORK_ERRORS, transport_error

MAX_INPUT_WITHOUT_OUTPUT = 1 << 20  # compressed bytes without output: endless empty members or blocks

# Python knows many more, but some raise unexpected errors (idna, hex) and some interpret code (unicode_escape).
_CHARSETS = r"utf-(16|32)|iso(8859|2022)|cp\d|ascii|big5|euc|gb|koi8|mac|shift"
_UNSUPPORTED = re.compile(r"\b(br|zstd|compress|dcb|dcz|gzip|deflate)\b")  # alone or in a list of codings


class ResponseBody(io.RawIOBase):
    """The bytes of ``response``, read once, from front to back. A read returns as soon as bytes have arrived.

    ``decoded=False`` leaves a Content-Encoding as it is. After the bytes that arrived, every read raises TransportError
    if the body is truncated, damaged, or has an unsupported coding. Then ``may_have_executed`` is True. A body that
    ``ends_with_connection`` may be truncated if the connection ends without TLS's close_notify, so that raises too.
    """

    def __init__(self, response: requests.Response, *, decoded: bool = True) -> None:
        self._response = response
        self._source: Any = response.raw
        self._length = content_length(response)
        self._failure: str | None = None
        self.finished = False  # True once the last byte was read
        coding = response.headers.get("Content-Encoding", "").strip().lower() if decoded and self._length != 0 else ""
        self._is_coded = coding in ("gzip", "x-gzip", "deflate")
        self.ends_with_connection = self._length is None and not (self._is_coded or _is_chunked(response))
        if not self._is_coded and _UNSUPPORTED.search(coding):
            coding = clean(coding, one_line=True)[:40]  # a frame of an error must not hold an echoed secret
            self.fail(f"unsupported Content-Encoding {coding!r}", permanent=True)
        self.size = None if self._is_coded else self._length  # bytes that will be read in all, if they are known
        self._coded = b""  # received but not yet decoded
        self._count = self._size = 0  # bytes received so far, and bytes of the current read
        self._blocks = self._read_blocks(coding)

    def readable(self) -> bool:
        return True

    def read(self, size: int = BLOCK) -> bytes:
        """Return up to ``size`` bytes, b"" at the end."""
        if self._failure:
            self.fail(self._failure)
        self._size = size
        try:
            data = next(self._blocks, b"")
        except zlib.error:
            self.fail("its compressed bytes are damaged")
        self.finished = not data
        return data

    def readall(self) -> bytes:
        return b"".join(iter(self.read, b""))

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._response.close()
        self._blocks = iter(())  # drop the generator, which refers to this object
        super().close()

    def fail(self, reason: str, *, permanent: bool = False) -> NoReturn:
        """Raise the TransportError, now and at every later read."""
        self._failure = reason
        self._response.close()
        place = origin(str(self._response.url))
        raise TransportError(f"cannot read the response, {reason}: {place}", True, permanent)

    def _read_blocks(self, coding: str) -> Iterator[bytes]:
        response, raw = self._response, self._response.raw
        # A response hook, a pickler, a mock or a cache read the body, or a hook made this response. vcrpy decodes it.
        if getattr(response, "_content_consumed", False) or raw is None or type(raw).__module__ == "vcr.stubs":
            self._source = io.BytesIO(response.content or b"")
            if response.headers.get("Content-Encoding"):  # decoded by requests, so the length differs
                self._length, self._is_coded = None, False
        yield from self._decode(coding == "deflate") if self._is_coded else iter(self._receive, b"")

    def _receive(self, size: int | None = None) -> bytes:
        """Return up to ``size`` bytes as they were sent, b"" at the end of the body. None: the size of the read."""
        try:
            data: bytes = self._read_source(size or self._size)
        except (*NETWORK_ERRORS, ValueError) as error:  # ValueError: malformed chunks, read by another class than ours
            failure = transport_error(error, str(self._response.url), True)
        else:
            if not data and self._length not in (None, self._count):
                self.fail(f"it ends after {self._count} of {self._length} bytes")
            self._count += len(data)
            return data
        self._failure = "the connection was closed"
        self._response.close()
        raise failure

    def _read_source(self, size: int) -> Any:
        source = self._source
        if not hasattr(source, "stream"):  # such as a file that a mock set as `raw`
            return source.read(size)
        # Only read1 returns as soon as bytes arrive. urllib3 1.26 lacks it, but http.client has it.
        if type(getattr(source, "_fp", None)) not in (http.client.HTTPResponse, RawResponse):
            return source.read(size, decode_content=False)
        # http.client does not understand a length such as "3, 3", so it would wait for the end of the connection.
        left = size if self._length is None else self._length - self._count
        with source._error_catcher():
            data = source._fp.read1(min(size, left))
            if not data:
                source._fp.close()  # so that the connection goes back to its pool
            return data

    def _decode(self, is_deflate: bool) -> Iterator[bytes]:
        """Yield the decoded bytes of a gzip or zlib body with any number of members, at most ``_size`` at once.

        Deflate without its zlib header, which some servers send, is accepted, and so is an empty body.
        """
        member: Any = None
        silent = 0  # compressed bytes since the last output
        while silent <= MAX_INPUT_WITHOUT_OUTPUT:
            if not self._coded:
                self._coded = self._receive(BLOCK)
                silent += len(self._coded)
            if not self._coded:
                if member is not None and not member.eof:
                    self.fail("its compressed bytes end too early")
                return
            if member is None or member.eof:
                if member is not None and self._coded[:1] != b"\x1f":  # padding, which requests and gzip ignore
                    return
                # The low four bits of the first byte are 8 for zlib and 15 for gzip. Raw deflate has other ones.
                is_raw = is_deflate and self._coded[0] & 15 not in (8, 15)
                member = zlib.decompressobj(-zlib.MAX_WBITS if is_raw else zlib.MAX_WBITS | 32)
            while not member.eof and (data := member.decompress(self._coded, self._size)):
                self._coded = member.unconsumed_tail
                silent = 0
                yield data
            self._coded = member.unused_data
        self.fail(f"more than {MAX_INPUT_WITHOUT_OUTPUT} compressed bytes without output")


def charset(response: requests.Response) -> str:
    """Return the charset in Content-Type if it is a common text encoding, else UTF-8 (with an optional BOM)."""
    named = re.search(r"charset=[\"']?([\w.:-]+)", response.headers.get("Content-Type", ""), re.IGNORECASE)
    try:
        name = codecs.lookup(named[1]).name if named else ""
    except LookupError:
        name = ""
    return name if re.match(_CHARSETS, name) else "utf-8-sig"


def _is_chunked(response: requests.Response) -> bool:
    return "chunked" in response.headers.get("Transfer-Encoding", "").lower()


def content_length(response: requests.Response) -> int | None:
    """Return the length of the body as it is sent, or None. Raise TransportError for an invalid Content-Length."""
    text = response.headers.get("Content-Length", "")
    if response.status_code in (204, 304):  # these have no body (RFC 9112, section 6.3)
        return 0
    if not text.strip() or _is_chunked(response):
        return None
    # Requests joins repeated headers with commas. Equal lengths are valid (RFC 9110, section 8.6).
    values = {value.strip() for value in text.split(",")}
    if len(values) == 1 and re.fullmatch("[0-9]{1,18}", max(values)):
        return int(max(values))
    del text, values  # a frame of an error must not hold an echoed secret
    response.close()
    raise TransportError(f"the response has an invalid Content-Length: {origin(str(response.url))}", True)
