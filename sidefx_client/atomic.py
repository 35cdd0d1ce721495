"""Files on their way to the disk: written beside their target, moved into place when they are whole."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


class NewFile:
    """A file that is there under ``path`` only once it was committed; until then under a name of its own beside it.

    Used with ``with``: without ``commit()`` nothing is left. The mode is that of the umask.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._target = Path(path)
        refuse_all_but_files(self._target)
        self._path = self._target.with_name(f"{self._target.name}.{os.urandom(4).hex()}.tmp")
        self._file: BinaryIO = open(self._path, "xb", buffering=0)  # noqa: SIM115 (closed by __exit__)

    def __enter__(self) -> NewFile:
        return self

    def write(self, data: bytes) -> None:
        write_all(self._file, data)

    def commit(self) -> Path:
        """Moves the file into place, on the disk for good; returns its path."""
        close_for_good(self._file)
        move(self._path, self._target)
        return self._target

    def __exit__(self, *exc_info: object) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)


def refuse_all_but_files(target: Path) -> None:
    """An OSError now, and not when a file that took an hour is to take the place of a directory or a device."""
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "a directory: give the path of the file", str(target))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "no regular file, cannot be replaced by one", str(target))


def write_all(file: BinaryIO, data: bytes | memoryview) -> None:
    """An unbuffered file may take a part of a block: the rest follows, or the OSError of a full disk."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def close_for_good(file: BinaryIO) -> None:
    """Closes the file once all of it is on the disk; Windows renames none that is open."""
    os.fsync(file.fileno())
    file.close()


def move(path: Path, target: Path) -> None:
    """Puts the file at ``path`` in the place of ``target``, in one step."""
    os.replace(path, target)
    if hasattr(os, "O_DIRECTORY"):
        # The new name too is on the disk for good, where a directory can be flushed: it is in place either way.
        with contextlib.suppress(OSError):
            directory = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
