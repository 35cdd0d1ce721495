"""What goes through a function of the local server: the call and its uploads in, a stream or a refusal out."""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass, field
from typing import IO, Any

from werkzeug.datastructures import Headers


class Upload:
    """A file or bytes that a call brought, as the function gets it under its keyword.

    ``filename`` and ``content_type`` are as they were sent. ``file`` is readable and can seek. What came in a request
    of more than 1 MiB is kept on disk, and is gone when the server closes: read it before.
    """

    def __init__(self, filename: str, content_type: str, file: IO[bytes]) -> None:
        self.filename = filename
        self.content_type = content_type
        self.file = file

    @property
    def data(self) -> bytes:
        """All of it, in memory."""
        self.file.seek(0)
        return self.file.read()

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return self.file.seek(0, io.SEEK_END)

    @property
    def md5(self) -> str:
        """Its MD5 in hex, computed block by block."""
        digest = hashlib.md5(usedforsecurity=False)
        self.file.seek(0)
        while block := self.file.read(1 << 20):
            digest.update(block)
        return digest.hexdigest()

    def __repr__(self) -> str:
        return f"<Upload {self.filename!r}>"


@dataclass(frozen=True)
class Call:
    """A call that arrived whole, whatever it was answered.

    ``args`` and ``kwargs`` are as JSON gave them (a list and a dict), ``files`` maps keywords to their uploads, and
    ``headers`` are those of its HTTP request.
    """

    name: str
    args: list[Any] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Upload] = field(default_factory=dict)
    headers: Headers = field(default_factory=Headers, repr=False, compare=False)


@dataclass(frozen=True)
class Download:
    """A request for the file of a build: its name, and the headers of the HTTP request (``Range``, ``If-Range`` …)."""

    filename: str
    headers: Headers = field(repr=False, compare=False)


@dataclass(frozen=True)
class Stream:
    """Returned by a function to answer with an octet-stream: bytes, or the path of a file.

    With a ``name``, the client is told it as the file's name (Content-Disposition).
    """

    content: bytes | str | os.PathLike[str]
    name: str | None = None

    def open(self) -> IO[bytes]:
        """The content, from its first byte."""
        return io.BytesIO(self.content) if isinstance(self.content, bytes) else open(self.content, "rb")


class Refusal(Exception):
    """Raised by a function to answer with this HTTP status and this plain text.

    422 is what the live API uses for a message meant for the user. A refusal is an answer, not a failure: it is not
    raised again when the server closes.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message
