"""The body of a response: complete and decompressed, or an error.

All bodies are read here: JSON, error texts, streams and downloads. urllib3 1.26 does not
report a truncated body. Neither 1.26 nor 2 reports a gzip stream that is truncated within a complete body, and both
decode any number of codings.
"""

from __future__ import annotations

import codecs
import http.client
import io
import re
import zlib
from typing import Any, NoReturn

import requests
import urllib3

from ..errors import TransportError, clean
from ..urls import origin
from .connection import BLOCK
from .failures import NETWORK_ERRORS, is_ragged_end, transport_error

MAX_INPUT_WITHOUT_OUTPUT = 1 << 20  # compressed bytes without output: endless empty members or blocks

# Python knows many more, but some raise unexpected errors (idna, hex) and some interpret code (unicode_escape).
_CHARSETS = "utf-(16|32)|iso8859-|cp125|ascii"
_UNSUPPORTED = re.compile(r"\b(br|zstd|compress|dcb|dcz|gzip|deflate)\b")  # also in a list, which we do not ask for


class ResponseBody(io.RawIOBase):
    """The bytes of ``response``, read once, from front to back. A read returns as soon as bytes have arrived.

    ``decoded=False`` leaves a Content-Encoding as it is. A truncated or damaged body, and an unsupported coding, raises
    TransportError (``may_have_executed``) at every read, after the bytes that arrived. A body without a length that
    ends without TLS's close_notify may be truncated. It raises too, but with ``unconfirmed`` only sets ``is_confirmed``
    to False.
    """

    def __init__(self, response: requests.Response, *, decoded: bool = True, unconfirmed: bool = False) -> None:
        self._response = response
        self._length = content_length(response)
        self._count = 0
        self._failure: str | None = None
        self.finished = False  # True once the last byte was read
        self._unconfirmed = unconfirmed and self._length is None and not _is_chunked(response)
        self.is_confirmed = True
        self._source: Any = None
        coding = response.headers.get("Content-Encoding", "").strip().lower() if decoded and self._length != 0 else ""
        self._decoder = _Decoder(coding) if coding in ("gzip", "x-gzip", "deflate") else None
        if self._decoder is None and _UNSUPPORTED.search(coding):
            coding = clean(coding, one_line=True)[:40]  # a frame of an error must not hold an echoed secret
            self.fail(f"unsupported Content-Encoding {coding!r}", permanent=True)

    @property
    def size(self) -> int | None:
        """Bytes that will be read in all, or None if that is not known before the end."""
        return self._length if self._decoder is None else None

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        """Return up to ``size`` bytes (all of them: -1 or None), b"" at the end."""
        if size is None or size < 0:
            return b"".join(iter(lambda: self.read(BLOCK), b""))
        if self.closed:
            raise ValueError("I/O operation on closed file")
        if self._failure:
            self.fail(self._failure)
        if self.finished or size == 0:
            return b""
        data = self._receive(size) if self._decoder is None else self._decode(self._decoder, size)
        if not data:
            self.finished = True
        return data

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._response.close()
        super().close()

    def fail(self, reason: str, *, permanent: bool = False) -> NoReturn:
        """Raise the TransportError, now and at every later read."""
        self._failure = reason
        self._response.close()
        place = origin(str(self._response.url))
        raise TransportError(f"cannot read the response, {reason}: {place}", True, permanent)

    def _receive(self, size: int) -> bytes:
        """Return up to ``size`` bytes as they were sent, b"" at the end of the body."""
        try:
            data = self._read_source(size)
        except (*NETWORK_ERRORS, ValueError) as error:  # ValueError: malformed chunks, read by another class than ours
            if self._unconfirmed and is_ragged_end(error):
                self.is_confirmed = False
                return b""
            failure = transport_error(error, str(self._response.url), True)
        else:
            if not data and self._length not in (None, self._count):
                self.fail(f"it ends after {self._count} of {self._length} bytes")
            self._count += len(data)
            return data
        self._failure = "the connection was closed"
        self._response.close()
        raise failure

    def _read_source(self, size: int) -> bytes:
        if self._source is None:
            self._source = self._response.raw
            if getattr(self._response, "_content_consumed", False):  # read by a response hook, a mock or a cache
                self._source = io.BytesIO(self._response.content)
                if self._response.headers.get("Content-Encoding"):  # decoded by requests, so the length differs
                    self._length = self._decoder = None
        source = self._source
        data: bytes
        if not hasattr(source, "stream"):  # such as a file that a mock set as `raw`
            data = source.read(size)
        # With connections of other adapters only read1 returns as soon as bytes arrive. urllib3 1.26 lacks it.
        elif isinstance(source, urllib3.HTTPResponse) and hasattr(source, "read1"):
            data = source.read1(size, decode_content=False)
        elif type(getattr(source, "_fp", None)) is http.client.HTTPResponse:
            with source._error_catcher():
                data = source._fp.read1(size)
                if not data:
                    source._fp.close()  # so that the connection goes back to its pool
        else:
            data = source.read(size, decode_content=False)
        return data

    def _decode(self, decoder: _Decoder, size: int) -> bytes:
        """Return up to ``size`` decoded bytes, b"" at the end."""
        consumed = 0
        while True:
            if decoder.needs_input:
                block = self._receive(BLOCK)
                consumed += len(block)
                if not block:
                    if not decoder.may_end:
                        self.fail("its compressed bytes end too early")
                    return b""
                decoder.feed(block)
                del block  # a frame of an error must not hold an echoed secret
            try:
                data = decoder.decode(size)
            except zlib.error:
                self.fail("its compressed bytes are damaged")
            if data:
                return data
            if consumed > MAX_INPUT_WITHOUT_OUTPUT:
                self.fail(f"more than {MAX_INPUT_WITHOUT_OUTPUT} compressed bytes without output")


class _Decoder:
    """A gzip or zlib stream, of any number of members, decoded a block at a time.

    Bytes after the last member (padding) are ignored, as by requests and gzip. Deflate without its zlib header, which
    some servers send, is accepted.
    """

    def __init__(self, coding: str) -> None:
        self._is_deflate = coding == "deflate"
        self._coded = b""
        self._member: Any = None
        self._ignores_rest = False
        self.needs_input = True
        self.may_end = True  # also an empty body is accepted

    def feed(self, block: bytes) -> None:
        self._coded = block

    def decode(self, size: int) -> bytes:
        """Return up to ``size`` decoded bytes. After b"" call it again, first ``feed()`` if ``needs_input``."""
        if self._member is None or self._member.eof:
            self._ignores_rest = self._ignores_rest or (self._member is not None and self._coded[:1] != b"\x1f")
            if self._ignores_rest:
                self.needs_input = True
                return b""
            # The first byte of zlib ends in 8 and that of gzip in f; raw deflate begins otherwise.
            is_raw = self._is_deflate and self._coded[0] & 15 not in (8, 15)
            self._member = zlib.decompressobj(-zlib.MAX_WBITS if is_raw else zlib.MAX_WBITS | 32)
        data: bytes = self._member.decompress(self._coded, size)
        # At the end of a member zlib keeps the rest in both attributes.
        self._coded = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
        self.may_end = self._member.eof
        # Within a member zlib may hold back output beyond ``size``.
        self.needs_input = not self._coded and (self.may_end or len(data) < size)
        return data


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
    # Requests joins the headers of one name. Equal lengths are valid (RFC 9110, section 8.6).
    values = {value.strip() for value in text.split(",")}
    if len(values) == 1 and re.fullmatch("[0-9]{1,18}", max(values)):
        return int(max(values))
    del text, values  # a frame of an error must not hold an echoed secret
    response.close()
    raise TransportError(f"the response has an invalid Content-Length: {origin(str(response.url))}", True)
