"""The bytes of a file that have arrived so far, kept beside its target for the next run.

``NAME.part`` holds the bytes, ``NAME.part.json`` (the sidecar) tells which file they belong to. A process that works on
them holds a lock of the operating system on the sidecar, which ends with the process. If the lock is taken, or the file
system has no locks, the bytes go to a private ``NAME.RANDOM.part`` instead, which the next run does not resume.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import stat
import sys
import threading
from pathlib import Path
from typing import BinaryIO, NamedTuple

from .. import forks
from ..atomic import fsync, fsync_directory, remove, replace, require_regular_file, sibling, write_all

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_INFO_SIZE = 1024  # bytes: always rewritten by one write of this size, so a kill leaves the old or the new
_LOCKED_BYTE = 1 << 30  # locks are mandatory on Windows, so it lies behind the end of the sidecar
_TAKEN = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)


class ResumeInfo(NamedTuple):
    """The file that the bytes of a partial file belong to. ``total`` and ``contiguous`` are bytes.

    The first ``contiguous`` bytes of the partial file are complete. None means all of them.
    """

    url_path_md5: str
    total: int | None
    md5: str | None
    validator: str | None
    contiguous: int | None = None


class PartialLost(FileNotFoundError):
    """The partial file was removed, truncated or taken over by another program."""


class Partial:
    """The partial file at ``path``, of which the first ``size`` bytes are complete, and the ``info`` about them.

    Use it with ``with``. On exit the partial file is kept if it can be resumed, otherwise deleted. ``read`` and
    ``write`` may be called from any thread. Raises OSError early if the directory is missing or not writable.
    """

    def __init__(self, target: Path, *, private: bool = False) -> None:
        require_regular_file(target)
        self.info: ResumeInfo | None = None
        self.size = 0
        self.target = target
        self._stem = sibling(target, ".01234567.part").name[: -len(".01234567.part")]
        self._sidecar_path = target.with_name(f"{self._stem}.part.json")
        self.path = self._sidecar_path.with_suffix("")
        self._private = private
        self._owner = os.urandom(8).hex()
        self._lock = threading.Lock()  # of the position in the files
        self._written = 0  # bytes that the partial file must have
        self._file: BinaryIO | None = None
        self._sidecar: BinaryIO | None = None
        forks.run_after_fork(self)

    def __enter__(self) -> Partial:
        try:
            if self._private or not self._open_shared():
                self._open_private()
        except BaseException:
            self.after_fork_in_child()
            raise
        return self

    @property
    def is_resumable(self) -> bool:
        """Whether there are bytes, and the info to recognize their file."""
        return self.size > 0 and self.info is not None

    @property
    def is_kept(self) -> bool:
        """Whether the next run can resume."""
        return self.is_resumable and not self._private

    def read(self, offset: int, size: int) -> bytes:
        with self._lock:
            file = self._intact()
            file.seek(offset)
            return file.read(size)

    def write(self, offset: int, block: bytes) -> None:
        with self._lock:
            file = self._intact()
            file.seek(offset)
            write_all(file, block)
            self._written = max(self._written, offset + len(block))

    def truncate(self, size: int) -> None:
        """Keep the first ``size`` bytes only."""
        with self._lock:
            self._intact().truncate(size)
            self.size = self._written = size

    def save_info(self, info: ResumeInfo | None) -> None:
        """Store the info for the next run."""
        with self._lock:
            self.info = info
            if self._sidecar is not None:
                fields = {"owner": self._owner, **(info._asdict() if info else {})}
                self._sidecar.seek(0)
                write_all(self._sidecar, json.dumps(fields).encode().ljust(_INFO_SIZE))

    def restart(self) -> None:
        """Forget everything that arrived."""
        self.save_info(None)
        self.truncate(0)

    def require_space(self, total: int) -> None:
        """Raise OSError if the missing bytes do not fit on the disk. Some file systems report 0 free bytes, or none."""
        try:
            free = shutil.disk_usage(self.path.parent).free
        except OSError:
            return
        missing = total - self.size
        if 0 < free < missing:
            message = f"not enough disk space: {missing} bytes needed, {free} bytes free"
            raise OSError(errno.ENOSPC, message, str(self.target))

    def commit(self) -> Path:
        """Move the complete file into place and return its path."""
        with self._lock:
            file = self._intact()
            fsync(file)
            if not _is_at(self.path, file):
                raise self._lost()
            file.close()  # Windows renames no open file
        self._remove_abandoned()
        replace(self.path, self.target)
        self._file = None
        self._remove_sidecar()
        fsync_directory(self.target.parent)
        return self.target

    def __exit__(self, *exc_info: object) -> None:
        try:
            with self._lock:  # no write is under way
                if self._file is None:  # committed, or in a forked child
                    return
                self._file.close()
            with contextlib.suppress(OSError):  # the error that ended the transfer says more
                self._tidy_up()
        finally:
            self.after_fork_in_child()

    def after_fork_in_child(self) -> None:
        """Close the files. A copy of the descriptors in a child would prolong the lock."""
        for file in (self._file, self._sidecar):
            if file is not None:
                file.close()
        self._file = self._sidecar = None

    def _tidy_up(self) -> None:
        if not self.is_kept and self._is_owner():
            remove(self.path)
        self._remove_abandoned()
        if not self.path.exists():
            self._remove_sidecar()

    def _remove_sidecar(self) -> None:
        if self._sidecar is not None and self._is_owner():
            with contextlib.suppress(OSError):
                _remove_and_close(self._sidecar_path, self._sidecar)

    def _open_shared(self) -> bool:
        """Lock the sidecar and open the partial file. Return False if that is not possible."""
        useless = False
        try:
            self._lock_sidecar()
            assert self._sidecar is not None
            info = _parse(self._sidecar.read(_INFO_SIZE))
            useless = info is None
            self.save_info(info)
            self._file = _open_or_create(self.path)
            size = self._file.seek(0, os.SEEK_END) if info else 0
            self.truncate(size if info is None or info.contiguous is None else min(size, info.contiguous))
        except OSError as error:
            no_locks = error.errno not in _TAKEN and not self.path.exists()
            if self._sidecar is not None and (useless or no_locks):
                with contextlib.suppress(OSError):
                    _remove_and_close(self._sidecar_path, self._sidecar)
            self.after_fork_in_child()
            return False
        self._remove_abandoned()
        return True

    def _lock_sidecar(self) -> None:
        """Open and lock the sidecar, or raise OSError, also if the file system only pretends to have locks."""
        while True:
            self._sidecar = _open_or_create(self._sidecar_path)
            _flock(self._sidecar)
            if _is_at(self._sidecar_path, self._sidecar):
                break
            self._sidecar.close()  # its last owner removed it after it was opened here
        with _open_own(self._sidecar_path) as again:
            try:
                _flock(again)
            except OSError:
                return
        raise OSError(errno.ENOLCK, "one lock was granted twice", str(self._sidecar_path))

    def _open_private(self) -> None:
        self._private = True
        while True:
            self.path = self.target.with_name(f"{self._stem}.{os.urandom(4).hex()}.part")
            self._file = _create(self.path)
            if os.name != "nt":  # Windows removes no open file
                with contextlib.suppress(OSError):  # there may be no locks
                    _flock(self._file)
            if _is_at(self.path, self._file):
                return
            self._file.close()  # removed as abandoned before it was locked

    def _remove_abandoned(self) -> None:
        """Remove the private partial files of killed processes, if this is the holder of the lock."""
        if self._sidecar is None:
            return
        pattern = re.compile(re.escape(self._stem) + r"\.[0-9a-f]{8}\.part")
        for path in self.target.parent.iterdir():
            # With a sidecar it is the partial file of a target whose name ends like that.
            if pattern.fullmatch(path.name) and not path.with_name(f"{path.name}.json").exists():
                with contextlib.suppress(OSError), _open_own(path) as file:
                    if os.name != "nt":
                        _flock(file)
                    _remove_and_close(path, file)

    def _intact(self) -> BinaryIO:
        """Return the open file. Raise PartialLost if another program truncated it or took it over."""
        if self._file is None:
            raise PartialLost(errno.EBADF, "the partial file belongs to the parent process", str(self.path))
        if not self._is_owner() or self._file.seek(0, os.SEEK_END) < self._written:
            raise self._lost()
        return self._file

    def _is_owner(self) -> bool:
        """Whether the sidecar is still ours: on some file systems other machines do not see the lock."""
        if self._sidecar is None:
            return True
        self._sidecar.seek(0)
        return self._owner.encode() in self._sidecar.read(_INFO_SIZE) and _is_at(self._sidecar_path, self._sidecar)

    def _lost(self) -> PartialLost:
        self.info = None  # the rest is not worth resuming
        return PartialLost(errno.ENOENT, "another program removed or changed the partial file", str(self.path))


def _open_or_create(path: Path) -> BinaryIO:
    try:
        return _create(path)
    except FileExistsError:
        return _open_own(path)


def _create(path: Path) -> BinaryIO:
    return open(path, "x+b", buffering=0)


def _open_own(path: Path) -> BinaryIO:
    """Open an existing file of this user, not through a link; raise OSError for any other."""
    descriptor = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
    file = open(descriptor, "r+b", buffering=0)  # noqa: SIM115 (closed by its owner)
    found = os.fstat(descriptor)
    is_own = not hasattr(os, "geteuid") or found.st_uid == os.geteuid()
    if is_own and stat.S_ISREG(found.st_mode) and found.st_nlink < 2 and _is_at(path, file):
        return file
    file.close()
    raise OSError(errno.EPERM, "not a regular file of this user", str(path))


def _is_at(path: Path, file: BinaryIO) -> bool:
    """Whether ``path`` still leads to the open file."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _flock(file: BinaryIO) -> None:
    """Lock the file or raise OSError at once. Not lockf: any close of the file would drop that lock."""
    if sys.platform == "win32":
        file.seek(_LOCKED_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _remove_and_close(path: Path, file: BinaryIO) -> None:
    if os.name == "nt":  # no open file can be removed there, so another owner keeps it
        file.close()
    path.unlink(missing_ok=True)
    file.close()


def _parse(data: bytes) -> ResumeInfo | None:
    try:
        fields = json.loads(data)
        info = ResumeInfo(*(fields[name] for name in ResumeInfo._fields))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    numbers, texts = (info.total, info.contiguous), (info.md5, info.validator)
    well_formed = all(n is None or (isinstance(n, int) and n >= 0) for n in numbers) and all(
        text is None or isinstance(text, str) for text in texts
    )
    return info if well_formed else None
