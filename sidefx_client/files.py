"""The two file objects of the API: ``File`` to upload, ``ResponseFile`` to read."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import Any, BinaryIO

import requests

from .atomic import AtomicFile, require_regular_file
from .names import last_component, name_in_disposition
from .progress import Progress, ProgressCallback
from .transport.adapter import AnyPath
from .transport.connection import BLOCK
from .transport.multipart import FileSource
from .transport.response import ResponseBody


class File:
    """A file to upload, as a keyword argument: ``service.module.function(scene=File("shot.hip"))``.

    ``filename``: a path, opened when it is sent, or a binary file object, sent from its position. The object stays
    open, and its position is restored. ``name``: the file name that the server sees; default: the last component of
    the path. ``size``: bytes to send; default: all. An object that cannot seek needs ``size``, and is never sent twice.
    ``progress(done, total)``: called with numbers of bytes.

    Raises TypeError or ValueError for an object that cannot be sent. A file that cannot be read raises OSError at the
    call, before a byte is sent.
    """

    def __init__(
        self,
        filename: AnyPath | BinaryIO,
        *,
        name: str | None = None,
        size: int | None = None,
        progress: ProgressCallback | None = None,
    ) -> None:
        if not isinstance(filename, (str, os.PathLike)) and not hasattr(filename, "read"):
            raise TypeError(f"File takes a path or a binary file object, not {type(filename).__name__}")
        if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 0):
            raise ValueError(f"the size of a File must be a number of bytes, not {size!r}")
        if progress is not None and not callable(progress):
            raise TypeError("progress must be callable: progress(done, total)")
        self.filename = filename
        self.name = name
        self.size = size
        self.progress = progress

    def __repr__(self) -> str:
        return f"<File {self.name_on_wire!r}>"

    @property
    def name_on_wire(self) -> str:
        """The last component of the name, the path, or the file object's own name."""
        name: Any = self.name or getattr(self.filename, "name", self.filename)
        name = os.fspath(name) if isinstance(name, (str, os.PathLike)) else ""
        return last_component(str(name)) or "unnamed.bin"

    def source(self) -> FileSource:
        """Open the file and return the source that an upload reads."""
        if not isinstance(self.filename, (str, os.PathLike)):
            return self._source_of(self.filename, owned=False)
        path = Path(self.filename)
        require_regular_file(path)  # before it is opened, because opening a FIFO would wait for its other end
        file = open(path, "rb", buffering=0)  # noqa: SIM115 (closed with its source)
        try:
            return self._source_of(file, owned=True)
        except BaseException:
            file.close()
            raise

    def _source_of(self, file: Any, *, owned: bool) -> FileSource:
        if not isinstance(file.read(0), bytes):
            raise TypeError(f"{self!r} must return bytes from read(): open the file in binary mode, 'rb'")
        start, available = _extent(file)
        size = available if self.size is None else self.size
        if size is None:
            raise ValueError(f"{self!r} has no known size: pass its bytes, or File(..., size=…)")
        if available is not None and size > available:
            raise ValueError(f"{self!r} has {available} bytes, fewer than its size={size}")
        return FileSource(file, start, size, self.progress, owned=owned)


def _extent(file: Any) -> tuple[int | None, int | None]:
    """Return the position of a file object and the number of bytes after it, each None if it cannot tell."""
    try:
        # SpooledTemporaryFile has no seekable() before Python 3.11.
        if not getattr(file, "seekable", lambda: hasattr(file, "seek"))():
            return None, None
        start: int = file.tell()
        file.seek(0, os.SEEK_END)
        available = max(0, file.tell() - start)  # some objects (SFTPFile) return None from seek()
        file.seek(start)
    except (AttributeError, OSError):
        return None, None
    if available == 0 and file.read(1):  # such as a file of /proc, whose size is 0
        file.seek(start)
        return start, None
    return start, available


class ResponseFile(io.BufferedReader):
    """The bytes that a function streams back: a readable binary file object, to be used with ``with``.

    ``read``, ``readinto``, iteration, ``shutil.copyfileobj`` and ``tarfile.open(fileobj=…, mode="r|gz")`` work in
    constant memory. A Content-Encoding is decoded. A truncated stream raises TransportError when its end is read.
    Iteration, ``readline``, ``read1`` and ``save`` return data as it arrives; ``read(n)`` waits for n bytes.

    ``response`` is the ``requests.Response``; its ``request`` is a copy without the Authorization header.
    """

    def __init__(self, response: requests.Response) -> None:
        self._body = ResponseBody(response)
        super().__init__(self._body, BLOCK)
        self._response = response
        if response.request is not None:  # a copy, because hooks and mocks may keep the request that was sent
            response.request = response.request.copy()
            response.request.headers.pop("Authorization", None)
            response.request.hooks = {}
            # The body of an upload cannot be pickled.
            response.request.body = response.request.body if isinstance(response.request.body, (str, bytes)) else None

    def __repr__(self) -> str:
        return f"<ResponseFile name={self.name!r} size={self.size}>"

    @property
    def response(self) -> requests.Response:
        """The ``requests.Response``. It keeps this file alive, because a collected file closes its response."""
        self._response.file = self  # type: ignore[attr-defined]
        return self._response

    @property
    def size(self) -> int | None:
        """The number of bytes, or None if the server does not say it."""
        return self._body.size

    @property
    def name(self) -> str | None:
        """A safe file name (no directory, not hidden), or None if the server sends none."""
        return name_in_disposition(self._response.headers.get("Content-Disposition"))

    def save(self, path: AnyPath, progress: ProgressCallback | None = None) -> Path:
        """Save the unread bytes to a file at ``path``, which appears only when it is complete. Return its path.

        If ``path`` is a directory, the file in it gets ``name``. ``progress(done, total)`` gets bytes; total is None
        if the server does not say it. Raises TransportError for a truncated stream and OSError for the disk. In both
        cases an older file at ``path`` is unchanged. After an OSError, the rest of the stream can still be read.
        """
        target = Path(path)
        if target.is_dir() and self.name:
            target = target / self.name
        steps = Progress(progress, self.size)
        with AtomicFile(target) as file:
            done = 0
            steps.update(done)
            while block := self.read1(BLOCK):
                file.write(block)
                done += len(block)
                steps.update(done)
            steps.update(done, end=True)
            self.close()
            return file.commit()

    def __del__(self) -> None:
        if "_response" in vars(self) and not (self.closed or self._body.finished or self._response._content_consumed):
            warnings.warn(f"unclosed {self!r}: use it with 'with', or close() it", ResourceWarning, 2, source=self)
        super().__del__()
