"""The two file objects of the API: ``File`` goes up, ``ResponseFile`` comes down."""

from __future__ import annotations

import errno
import io
import os
import stat
import warnings
from pathlib import Path
from typing import Any, BinaryIO, Union

import requests

from .atomic import NewFile
from .names import last_component, name_in_disposition
from .progress import Progress, ProgressCallback
from .transport.connection import BLOCK
from .transport.multipart import FileSource
from .transport.response import Body

AnyPath = Union[str, "os.PathLike[str]"]


class File:
    """A file to upload, as a keyword argument: ``service.module.function(scene=File("shot.hip"))``.

    ``filename``: a path, opened when it is sent, or a binary file object, sent from where it stands and left open
    there. ``name``: the file name that the server sees, else the last component of the path. ``size``: bytes to send,
    else all; an object that cannot seek needs it, and is never sent twice. ``progress(done, total)`` is called in
    bytes.

    Raises TypeError or ValueError for what cannot be sent and, at the call, OSError for what cannot be read; all of
    that before a byte is sent.
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
        if name is not None and not isinstance(name, str):
            raise TypeError(f"the name of a File must be text, not {type(name).__name__}")
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
        """The last component of the name, of the path, or of the file object's own name."""
        name: Any = self.name or self.filename
        if hasattr(name, "read"):
            name = getattr(name, "name", "")
        name = os.fspath(name) if isinstance(name, (str, os.PathLike)) else ""
        return last_component(str(name)) or "unnamed.bin"

    def source(self) -> FileSource:
        """What an upload reads from, opened now."""
        if isinstance(self.filename, (str, os.PathLike)):
            return self._of_path(self.filename)
        return self._of_object(self.filename)

    def _of_path(self, path: AnyPath) -> FileSource:
        # Looked at before it is opened: opening a FIFO would wait for its other end.
        if not stat.S_ISREG(os.stat(path).st_mode):
            kind = errno.EISDIR if os.path.isdir(path) else errno.EINVAL
            raise OSError(kind, "not a regular file, cannot be uploaded", os.fspath(path))
        file = open(path, "rb", buffering=0)  # noqa: SIM115 (closed with its source)
        try:
            size = self._checked_size(os.fstat(file.fileno()).st_size)
            return FileSource(file, 0, size, self.progress, owned=True)
        except BaseException:
            file.close()
            raise

    def _of_object(self, file: BinaryIO) -> FileSource:
        if not isinstance(file.read(0), bytes):
            raise TypeError(f"{self!r} reads text: open the file in binary mode, 'rb'")
        if not (hasattr(file, "seekable") and file.seekable()):
            if self.size is None:
                raise ValueError(f"{self!r} cannot seek: say how many bytes it has, File(..., size=…)")
            return FileSource(file, None, self.size, self.progress, owned=False)
        start = file.tell()
        available = file.seek(0, os.SEEK_END) - start
        file.seek(start)
        return FileSource(file, start, self._checked_size(max(0, available)), self.progress, owned=False)

    def _checked_size(self, available: int) -> int:
        if self.size is None:
            return available
        if self.size > available:
            raise ValueError(f"{self!r} has {available} bytes, fewer than its size={self.size}")
        return self.size


class ResponseFile(io.BufferedReader):
    """The bytes that a function streams back: a readable binary file object, to be used with ``with``.

    ``read``, ``readinto``, iteration, ``shutil.copyfileobj`` and ``tarfile.open(fileobj=…, mode="r|gz")`` work, in
    constant memory. A Content-Encoding is undone. A stream that was cut raises TransportError when its end is read.

    ``response`` is the ``requests.Response``, whose ``raw`` has the bytes as they were sent.
    """

    def __init__(self, response: requests.Response) -> None:
        self._body = Body(response)
        super().__init__(self._body, BLOCK)
        self.response = response

    def __repr__(self) -> str:
        return f"<ResponseFile name={self.name!r} size={self.size}>"

    @property
    def size(self) -> int | None:
        """Bytes in all, or None where the server does not say."""
        return self._body.size

    @property
    def name(self) -> str | None:
        """A safe file name (no directory, nothing hidden), or None where the server gives none."""
        return name_in_disposition(self.response.headers.get("Content-Disposition"))

    def save(self, path: AnyPath, progress: ProgressCallback | None = None) -> Path:
        """Saves what is still unread to a file at ``path``, which is there only once it is whole; returns its path.

        ``progress(done, total)`` in bytes, total None where the server does not say. Raises TransportError for a cut
        stream and OSError for the disk; an older file at ``path`` is then left as it was.
        """
        steps = Progress(progress, self.size)
        with self, NewFile(path) as file:
            done = 0
            steps.at(0)
            while block := self.read(BLOCK):
                file.write(block)
                done += len(block)
                steps.at(done)
            steps.at(done, end=True)
            return file.commit()

    def __enter__(self) -> ResponseFile:
        return self

    def __del__(self) -> None:
        if "response" in self.__dict__ and not self.closed and not self._body.finished:
            warnings.warn(f"unclosed {self!r}: use it with 'with', or close() it", ResourceWarning, 2, source=self)
        super().__del__()
