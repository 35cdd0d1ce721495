"""The body of an upload (multipart/form-data, RFC 7578), read from disk while it is sent, and rewindable.

``files=`` of requests would hold the file in memory twice. The length of the body is fixed by its Content-Length:
surplus bytes would be taken for a second request, and missing ones would leave the server waiting.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from typing import Any, BinaryIO, Union

from urllib3.fields import RequestField
from urllib3.filepost import choose_boundary

from ..errors import TransportError
from ..log import logger
from ..progress import Progress, ProgressCallback


class SourceError(Exception):
    """Carries ``error`` past urllib3, which treats every OSError as a network error."""

    def __init__(self, error: Exception) -> None:
        super().__init__(type(error).__name__)
        self.error = error


class BytesSource:
    """Bytes in memory, without a copy."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        view = memoryview(data)
        self._view = view.cast("B") if view.c_contiguous else memoryview(view.tobytes())
        self.size = len(self._view)
        self._position = 0

    def read(self, size: int) -> memoryview:
        block = self._view[self._position : self._position + size]
        self._position += len(block)
        return block

    def rewind(self) -> bool:
        self._position = 0
        return True

    def close(self) -> None:
        self._view.release()


class FileSource:
    """``size`` bytes of ``file`` from ``start`` on; ``start`` is None if the file cannot seek.

    ``owned`` files are closed at the end. A caller's file stays open, and its position is restored.
    """

    def __init__(
        self, file: BinaryIO, start: int | None, size: int, progress: ProgressCallback | None, *, owned: bool
    ) -> None:
        self._file = file
        self._start = start
        self.size = size
        self._owned = owned
        self._progress = Progress(progress, size)
        self._left = size
        self._begun = False
        self._stamp = self._stamp_now()

    def read(self, size: int) -> bytes:
        try:
            return self._read(min(size, self._left))
        except Exception as error:  # noqa: BLE001 (raised again after urllib3)
            failure = SourceError(error)
        raise failure

    def rewind(self) -> bool:
        """Go back to the first byte. Return False if the same bytes cannot be read again."""
        if not self._begun:
            return True
        if self._start is None or self._stamp != self._stamp_now():
            return False
        self._begun = False
        self._left = self.size
        return True

    def close(self) -> None:
        if self._owned:
            self._file.close()
        elif self._start is not None:
            with contextlib.suppress(OSError, ValueError):  # closed by the caller
                self._file.seek(self._start)

    def _read(self, size: int) -> bytes:
        if not self._begun:
            self._begun = True
            if self._start is not None:
                self._file.seek(self._start)
            self._progress.update(0)
        data = self._file.read(size) if size else b""
        if data is None:
            raise ValueError("the file object to upload returned None from read(): open it in blocking mode")
        if size and not data:
            shrunk = f"the file to upload ended {self._left} bytes before its announced {self.size}"
            raise TransportError(shrunk, permanent=True)
        data = data[:size]
        self._left -= len(data)
        self._progress.update(self.size - self._left)
        stamp = None if self._left or not data else self._stamp_now()
        if stamp and self._stamp and stamp[0] > self._stamp[0]:
            logger.warning("the file grew while it was sent: only the announced %d bytes were sent", self.size)
        return data

    def _stamp_now(self) -> tuple[int, int] | None:
        """Return size and modification time of an owned file, to detect changes."""
        if not self._owned:
            return None
        status = os.fstat(self._file.fileno())
        return status.st_size, status.st_mtime_ns


Source = Union[BytesSource, FileSource]


class MultipartBody:
    """A file-like object of ``fields`` (name, file name or None, source) that http.client sends in blocks."""

    def __init__(self, fields: Sequence[tuple[str, str | None, Source]]) -> None:
        boundary = choose_boundary()
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self._segments: list[Source] = []
        before = f"--{boundary}\r\n"
        for name, filename, source in fields:
            self._segments += [BytesSource((before + _part_head(name, filename)).encode()), source]
            before = f"\r\n--{boundary}\r\n"
        self._segments.append(BytesSource(f"\r\n--{boundary}--\r\n".encode()))
        self._index = 0

    def __len__(self) -> int:
        return sum(segment.size for segment in self._segments)

    def read(self, size: int) -> Any:
        while self._index < len(self._segments):
            block = self._segments[self._index].read(size)
            if block:
                return block
            self._index += 1
        return b""

    def rewind(self) -> bool:
        """Go back to the first byte. Return False if the same bytes cannot be sent again."""
        self._index = 0
        return all(segment.rewind() for segment in self._segments)

    def close(self) -> None:
        for segment in self._segments:
            segment.close()


def _part_head(name: str, filename: str | None) -> str:
    field = RequestField(_quoted(name), b"", filename=None if filename is None else _quoted(filename))
    field.make_multipart(content_type=None if filename is None else "application/octet-stream")
    return field.render_headers()


def _quoted(text: str) -> str:
    """Percent-encode the characters in ``text`` that urllib3 1.26 and 2 quote differently."""
    text = text.encode("utf-8", "replace").decode()
    return re.sub(r'[\x00-\x1f\x7f"\\]', lambda match: f"%{ord(match[0]):02X}", text)
