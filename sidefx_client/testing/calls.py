"""The arguments and results of a function of the local server: Call and Upload in, Stream or Refusal out."""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass, field
from typing import IO, Any

from werkzeug.datastructures import Headers


class Upload:
    """An uploaded file, passed to the function under its keyword.

    ``filename`` and ``content_type`` are as sent. ``file`` is readable and seekable. Uploads of a request of more than
    1 MiB are on disk until the server closes, so read them before.
    """

    def __init__(self, filename: str, content_type: str, file: IO[bytes]) -> None:
        self.filename = filename
        self.content_type = content_type
        self.file = file

    @property
    def data(self) -> bytes:
        """The whole content, in memory."""
        self.file.seek(0)
        return self.file.read()

    @property
    def size(self) -> int:
        """The size in bytes."""
        return self.file.seek(0, io.SEEK_END)

    @property
    def md5(self) -> str:
        """The MD5 in hex, computed block by block."""
        digest = hashlib.md5(usedforsecurity=False)
        self.file.seek(0)
        while block := self.file.read(1 << 20):
            digest.update(block)
        return digest.hexdigest()

    def __repr__(self) -> str:
        return f"<Upload {self.filename!r}>"


@dataclass(frozen=True)
class Call:
    """A call that was received completely, whatever the response was.

    ``args`` and ``kwargs`` are the decoded JSON (a list and a dict). ``files`` maps keywords to uploads. ``headers``
    are the headers of the HTTP request.
    """

    name: str
    args: list[Any] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Upload] = field(default_factory=dict)
    headers: Headers = field(default_factory=Headers, repr=False, compare=False)


@dataclass(frozen=True)
class Download:
    """A request for a build's file: the file name and the headers of the HTTP request (``Range``, ``If-Range`` …)."""

    filename: str
    headers: Headers = field(repr=False, compare=False)


@dataclass(frozen=True)
class Stream:
    """An octet-stream to return from a function: bytes, or the path of a file.

    ``name`` is sent as the file name, in Content-Disposition.
    """

    content: bytes | str | os.PathLike[str]
    name: str | None = None

    def open(self) -> IO[bytes]:
        """Open the content for reading."""
        return io.BytesIO(self.content) if isinstance(self.content, bytes) else open(self.content, "rb")


class Refusal(Exception):
    """An exception that a function raises to respond with this HTTP status and this plain text.

    The live API uses 422 for messages to the user. LocalServer.close() does not raise refusals again.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status = final_status(status)
        self.message = message


def final_status(status: int) -> int:
    """Return ``status`` if it ends a response (200 to 599). Else raise ValueError, because the client would wait."""
    if not 200 <= status <= 599:
        raise ValueError(f"the status of a response must be from 200 to 599, not {status}")
    return status
