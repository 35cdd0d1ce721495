"""Files that are written under a temporary name and moved into place once they are complete."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import sys
import time
from collections.abc import Callable
from io import FileIO
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_MAX_NAME = 128  # bytes: encrypted file systems accept names of 143 bytes, and our suffixes have up to 14
_WAITS = (0.05, 0.1, 0.25, 0.5, 1.0, 1.0, 2.0)  # seconds: on Windows, scanners keep new files open for a while
_IN_USE = (5, 32, 33)  # Windows: access denied, sharing violation, lock violation
_LOCKED_BYTE = 1 << 30  # on Windows a lock blocks reads and writes, so lock a byte that others do not use
_UNSUPPORTED = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


class AtomicFile:
    """A file that appears under ``path`` only when it is committed.

    Use it with ``with``. Without ``commit()`` the temporary file is removed. The file gets the mode of the umask, or
    0600 from the start if it is ``private``.
    """

    def __init__(self, path: str | os.PathLike[str], *, private: bool = False) -> None:
        self._target = Path(path).absolute()  # the working directory may change meanwhile
        require_regular_file(self._target)
        self._path = self._target.with_name(f"{short_name(self._target)}.{os.urandom(4).hex()}.tmp")
        mode = 0o600 if private else 0o666
        # Closed by __exit__.
        self._file = open(self._path, "xb", buffering=0, opener=lambda path, flags: os.open(path, flags, mode))  # noqa: SIM115

    def __enter__(self) -> AtomicFile:
        return self

    def write(self, data: bytes | memoryview) -> None:
        write_all(self._file, data)

    def commit(self) -> Path:
        """Flush the file to the disk, move it into place and return its path."""
        fsync(self._file)
        self._file.close()  # Windows cannot rename an open file
        replace(self._path, self._target)
        return self._target

    def __exit__(self, *exc_info: object) -> None:
        self._file.close()
        remove(self._path)


def short_name(target: Path) -> str:
    """Return the name of ``target``, or a short hash if it leaves too little room for a suffix."""
    name = os.fsencode(target.name)
    return target.name if len(name) <= _MAX_NAME else hashlib.md5(name, usedforsecurity=False).hexdigest()[:16]


def require_regular_file(target: Path) -> None:
    """Raise OSError early if the target is a directory or a device."""
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a directory; give the path of a file", str(target))
    if target.exists() and not target.is_file():
        raise OSError(errno.EINVAL, "not a regular file", str(target))


def write_all(file: FileIO, data: bytes | memoryview) -> None:
    """Write all of ``data``. An unbuffered file may write only part of a block at once."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def fsync(file: FileIO) -> None:
    """Flush the file to the disk if the file system can do that."""
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in _UNSUPPORTED:  # some network file systems have no fsync, but the file is complete
            raise


def replace(path: Path, target: Path) -> None:
    """Move ``path`` over ``target`` in one step. On Windows wait up to 5 s until other programs close them."""
    _patiently(lambda: os.replace(path, target))


def remove(path: Path) -> None:
    """Remove ``path`` if it exists. On Windows wait up to 5 s until other programs close it."""
    _patiently(lambda: path.unlink(missing_ok=True))


def _patiently(act: Callable[[], object]) -> None:
    for wait in (*_WAITS, None):
        try:
            act()
            return
        except PermissionError as error:
            if wait is None or getattr(error, "winerror", None) not in _IN_USE:
                raise
        time.sleep(wait)


def open_own(path: Path, flags: int = os.O_RDWR) -> FileIO:
    """Open a regular file of this user. Do not follow links. Raise OSError for others. ``flags`` are for os.open."""
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    file = open(path, "r+b", buffering=0, opener=lambda path, _: os.open(path, flags, 0o666))  # noqa: SIM115 (returned)
    found = os.fstat(file.fileno())
    is_own = not hasattr(os, "geteuid") or found.st_uid == os.geteuid()
    if is_own and stat.S_ISREG(found.st_mode) and found.st_nlink < 2 and not path.is_symlink():
        return file
    file.close()
    raise OSError(errno.EPERM, "not a regular file of this user, or it has links", str(path))


def is_at(path: Path, file: FileIO) -> bool:
    """Return whether ``path`` still leads to the open file."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def lock(file: FileIO) -> None:
    """Lock the file without waiting, or raise OSError."""
    if sys.platform == "win32":
        file.seek(_LOCKED_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)
    else:
        # Not lockf, which drops the lock when any descriptor of the file is closed.
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def remove_open(path: Path, file: FileIO) -> None:
    """Close a locked file. Remove it unless ``path`` leads to another file now."""
    is_own = is_at(path, file)
    if os.name == "nt":  # Windows cannot remove an open file, so this raises if another process has it open
        file.close()
    if is_own:
        path.unlink(missing_ok=True)
    file.close()
