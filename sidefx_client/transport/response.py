"""The body of an answer: every byte that its framing promises, its coding undone, or an error; never a part of it.

The one way in which this package reads a body: JSON, error texts, streams and downloads. urllib3 1.26 ends
a cut body silently, both lines of urllib3 end a gzip stream silently that is cut inside a whole frame, and
undo any number of codings.
"""

from __future__ import annotations

import codecs
import io
import re
import zlib
from typing import Any, NoReturn

import requests

from ..errors import TransportError
from ..urls import origin
from .connection import BLOCK
from .failures import FAILURES, transport_error

# Python knows many more; some raise what a decoder should not (idna, hex), and some mean code (unicode_escape).
_CHARSETS = "utf-(16|32)|iso8859-|cp125|ascii"


class Body(io.RawIOBase):
    """The bytes of ``response``, read once, from front to back.

    ``decoded=False`` gives them as they were sent. A cut or garbled body, and a coding that nobody asked for, is a
    TransportError (``may_have_executed``: the head of the answer was there), at every read from then on.
    """

    def __init__(self, response: requests.Response, *, decoded: bool = True) -> None:
        self._response = response
        self._length = content_length(response)
        self._count = 0
        self._failure: str | None = None
        self._finished = False
        coding = response.headers.get("Content-Encoding", "").strip().lower()
        self._decoder: Any = None
        if decoded and self._length != 0 and coding not in ("", "identity"):
            if coding not in ("gzip", "x-gzip", "deflate"):
                self.fail(f"it is coded as {coding[:40]!r}, which nobody asked for", lasting=True)
            self._decoder = _decoder()
        self._coded = b""

    @property
    def size(self) -> int | None:
        """Bytes that will be read in all, or None where nobody knows before the end."""
        return self._length if self._decoder is None else None

    @property
    def finished(self) -> bool:
        """Whether the last byte was read."""
        return self._finished

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        """Up to ``size`` bytes (all of them: -1 or None), b"" at the end."""
        if size is None or size < 0:
            return b"".join(iter(lambda: self.read(BLOCK), b""))
        if self.closed:
            raise ValueError("I/O operation on closed file")
        if self._failure:
            self.fail(self._failure)
        if self._finished or size == 0:
            return b""
        data = self._sent(size) if self._decoder is None else self._decode(size)
        if not data:
            self._finished = True
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

    def fail(self, reason: str, *, lasting: bool = False) -> NoReturn:
        """Raises the TransportError, now and at every later read."""
        self._failure = reason
        self._response.close()
        where = origin(str(self._response.url))
        raise TransportError(f"the answer cannot be read, {reason}: {where}", may_have_executed=True, lasting=lasting)

    def _sent(self, size: int) -> bytes:
        """Up to ``size`` bytes as they were sent, b"" at the promised end."""
        try:
            data: bytes = self._response.raw.read(size, decode_content=False)
        except FAILURES as error:
            failure = transport_error(error, str(self._response.url), True)
        else:
            if not data and self._length not in (None, self._count):
                self.fail(f"it ends after {self._count} of {self._length} bytes")
            self._count += len(data)
            return data
        self._failure = "it was cut"
        self._response.close()
        raise failure

    def _decode(self, size: int) -> bytes:
        """Up to ``size`` decoded bytes: never more, however much the coded ones would grow."""
        while True:
            try:
                data: bytes = self._decoder.decompress(self._coded, size)
            except zlib.error:
                self.fail("its compressed bytes are damaged")
            # At the end of a member zlib has what follows it in both of its attributes.
            self._coded = b"" if self._decoder.eof else self._decoder.unconsumed_tail
            if data:
                return data
            if self._decoder.eof:  # another member may follow: gzip files can be joined
                self._coded = self._decoder.unused_data or self._sent(BLOCK)
                if not self._coded:
                    return b""
                self._decoder = _decoder()
            elif not self._coded:
                self._coded = self._sent(BLOCK)
                if not self._coded:
                    self.fail("its compressed bytes end too early")


def charset(response: requests.Response) -> str:
    """The charset of a text: the one that Content-Type names, where it is one of texts, else UTF-8 (a BOM may lead)."""
    named = re.search(r"charset=[\"']?([\w.:-]+)", response.headers.get("Content-Type", ""), re.IGNORECASE)
    try:
        name = codecs.lookup(named[1]).name if named else ""
    except LookupError:
        name = ""
    return name if re.match(_CHARSETS, name) else "utf-8-sig"


def _decoder() -> Any:
    return zlib.decompressobj(zlib.MAX_WBITS | 32)  # 32: gzip or zlib, as the first bytes say


def content_length(response: requests.Response) -> int | None:
    """The length of the body as it is sent, or None; an answer whose length cannot be read is a TransportError."""
    text = response.headers.get("Content-Length", "").strip()
    if not text or "Transfer-Encoding" in response.headers:
        return None
    if not (text.isascii() and text.isdigit()):
        response.close()
        raise TransportError(
            f"the answer has no readable Content-Length: {origin(str(response.url))}", may_have_executed=True
        )
    return int(text)
