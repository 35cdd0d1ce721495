"""The body of an upload (multipart/form-data, RFC 7578), read from disk while it is sent.

``files=`` of requests would hold the file in memory twice. The length of the body is fixed by its Content-Length.
Surplus bytes would be taken for a second request, and missing ones would leave the server waiting.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from urllib3.fields import RequestField
from urllib3.filepost import choose_boundary

from ..errors import TransportError, logger
from ..progress import Progress, ProgressCallback
from .connection import BLOCK


class SourceError(Exception):
    """Carries an exception, its only argument, past urllib3, which treats every OSError as a network error."""


class BytesSource:
    """Bytes in memory, of which only the current block is copied."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        view = memoryview(data)
        self._view = view.cast("B") if view.c_contiguous else memoryview(view.tobytes())
        self.size = len(self._view)

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, self.size, BLOCK):
            yield bytes(self._view[start : start + BLOCK])  # vcrpy copies blocks, which a memoryview refuses

    def close(self) -> None:
        self._view.release()


class FileSource:
    """``size`` bytes of ``file`` from ``start`` on; ``start`` is None if the file cannot seek.

    ``owned`` files are closed at the end. A caller's file stays open, and its position is restored. Iterating raises
    SourceError for an exception of the file or of ``progress``.
    """

    def __init__(
        self, file: BinaryIO, start: int | None, size: int, progress: ProgressCallback | None, *, owned: bool
    ) -> None:
        self._file = file
        self._start = start
        self.size = size
        self._owned = owned
        self._progress = Progress(progress, size)
        self._begun = False
        self._stamp = self._stamp_now()

    def __iter__(self) -> Iterator[bytes]:
        self._begun = True
        try:
            if self._start is not None:
                self._file.seek(self._start)
            self._progress.update(0)
            left = self.size
            while left:
                data = self._file.read(min(BLOCK, left))
                if data is None:
                    raise ValueError("the file object to upload returned None from read(): open it in blocking mode")
                if not data:
                    shrunk = f"the file to upload ended {left} bytes before its announced {self.size}"
                    raise TransportError(shrunk, permanent=True)
                data = data[:left]
                left -= len(data)
                self._progress.update(self.size - left)
                yield data
            if self._stamp_now()[0] > self._stamp[0]:
                logger.warning("the file grew while it was sent: only the announced %d bytes were sent", self.size)
        except Exception as error:
            raise SourceError(error) from error

    def is_repeatable(self) -> bool:
        """Return whether the same bytes can be read again."""
        return not self._begun or (self._start is not None and self._stamp == self._stamp_now())

    def close(self) -> None:
        if self._owned:
            self._file.close()
        elif self._start is not None:
            with contextlib.suppress(OSError, ValueError):  # closed by the caller
                self._file.seek(self._start)

    def _stamp_now(self) -> tuple[int, int]:
        """Return size and modification time, to detect changes, or zeros for an object such as BytesIO."""
        raw = getattr(self._file, "raw", self._file)
        status = os.fstat(raw.fileno()) if isinstance(raw, io.FileIO) and not raw.closed else None
        return (status.st_size, status.st_mtime_ns) if status else (0, 0)


class MultipartBody:
    """The blocks of ``fields`` (name, file name or None, source), which http.client sends one by one."""

    def __init__(self, fields: Sequence[tuple[str, str | None, BytesSource | FileSource]]) -> None:
        boundary = choose_boundary()
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self._segments: list[BytesSource | FileSource] = []
        before = f"--{boundary}\r\n"
        for name, filename, source in fields:
            self._segments += [BytesSource((before + _part_head(name, filename)).encode()), source]
            before = f"\r\n--{boundary}\r\n"
        self._segments.append(BytesSource(f"\r\n--{boundary}--\r\n".encode()))

    def __repr__(self) -> str:
        return self.content_type  # its random boundary is unique, and requests-cache tells bodies apart by it

    def __len__(self) -> int:
        return sum(segment.size for segment in self._segments)

    def __iter__(self) -> Iterator[bytes]:
        for segment in self._segments:
            yield from segment

    def is_repeatable(self) -> bool:
        """Return whether the same bytes can be sent again."""
        return all(segment.is_repeatable() for segment in self._segments if isinstance(segment, FileSource))


def _part_head(name: str, filename: str | None) -> str:
    field = RequestField(_quoted(name), b"", filename=None if filename is None else _quoted(filename))
    field.make_multipart(content_type=None if filename is None else "application/octet-stream")
    return field.render_headers()


def _quoted(text: str) -> str:
    """Percent-encode the characters in ``text`` that urllib3 1.26 and 2 quote differently."""
    text = text.encode("utf-8", "replace").decode()
    return re.sub(r'[\x00-\x1f\x7f"\\]', lambda match: f"%{ord(match[0]):02X}", text)
