"""An upload's body (multipart/form-data, RFC 7578), read as it is sent: clipped to its announced size, rewindable.

``requests``' own ``files=`` would hold the file in memory twice. A body that is not as long as its
Content-Length says would put its surplus on the connection as a second request, or leave the server
waiting: each part sends what was announced.
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
    """Carries ``error`` past urllib3, which takes any OSError that comes by for one of the network."""

    def __init__(self, error: Exception) -> None:
        super().__init__(type(error).__name__)
        self.error = error


class BytesSource:
    """Bytes in memory; not copied."""

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
    """``size`` bytes of ``file`` from ``start`` on; ``start`` is None where the file cannot seek.

    ``owned`` files are closed at the end; a caller's stays open and is put back to where it was.
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
        except Exception as error:  # noqa: BLE001 (carried past urllib3 as it is, and raised again)
            failure = SourceError(error)
        raise failure

    def rewind(self) -> bool:
        """Back to the first byte; False where the same bytes cannot be read again."""
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
            with contextlib.suppress(OSError, ValueError):  # the caller has closed it
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
            raise TransportError(
                f"the file to upload ended {self._left} bytes before its announced {self.size}", permanent=True
            )
        data = data[:size]
        self._left -= len(data)
        self._progress.update(self.size - self._left)
        if data and not self._left and self._grown():
            logger.warning("the file grew while it was sent: only the announced %d bytes went out", self.size)
        return data

    def _grown(self) -> bool:
        stamp = self._stamp_now()
        return stamp is not None and self._stamp is not None and stamp[0] > self._stamp[0]

    def _stamp_now(self) -> tuple[int, int] | None:
        """Size and time of change of a file of ours on disk, to see that it is still the same."""
        if not self._owned:
            return None
        status = os.fstat(self._file.fileno())
        return status.st_size, status.st_mtime_ns


Source = Union[BytesSource, FileSource]


class MultipartBody:
    """The ``fields``, (name, file name or None, source), as a file-like object that http.client sends in blocks."""

    def __init__(self, fields: Sequence[tuple[str, str | None, Source]]) -> None:
        boundary = choose_boundary()
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self._segments: list[Source] = []
        before = f"--{boundary}\r\n"
        for name, filename, source in fields:
            self._segments += [BytesSource((before + _head(name, filename)).encode()), source]
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
        """Back to the first byte; False where the same bytes cannot be sent again."""
        self._index = 0
        return all(segment.rewind() for segment in self._segments)

    def close(self) -> None:
        for segment in self._segments:
            segment.close()


def _head(name: str, filename: str | None) -> str:
    field = RequestField(_plain(name), b"", filename=None if filename is None else _plain(filename))
    field.make_multipart(content_type=None if filename is None else "application/octet-stream")
    return field.render_headers()


def _plain(text: str) -> str:
    """``text`` without what the two lines of urllib3 quote differently, in the HTML standard's percent form."""
    text = text.encode("utf-8", "replace").decode()
    return re.sub(r'[\x00-\x1f\x7f"\\]', lambda match: f"%{ord(match[0]):02X}", text)
