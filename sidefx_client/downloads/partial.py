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
import threading
from pathlib import Path
from typing import BinaryIO

from .. import atomic, forks
from .remote import ResumeInfo, parse_info

_INFO_SIZE = 1024  # bytes: always written at once, so that a killed process leaves the old info or the new
_TAKEN = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)


class PartialLost(FileNotFoundError):
    """The partial file was removed, truncated or taken over by another program."""


class Partial:
    """The partial file at ``path``, of which the first ``size`` bytes are complete, and the ``info`` about them.

    Use it with ``with``. On exit the partial file is kept if it can be resumed, otherwise deleted. ``read`` and
    ``write`` may be called from any thread. Raises OSError early if the directory is missing or not writable.
    """

    def __init__(self, target: Path, *, private: bool = False) -> None:
        atomic.require_regular_file(target)
        self.info: ResumeInfo | None = None
        self.size = 0
        self.target = target
        self._stem = atomic.sibling(target, ".01234567.part").name[: -len(".01234567.part")]
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
            atomic.write_all(file, block)
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
                atomic.write_all(self._sidecar, json.dumps(fields).encode().ljust(_INFO_SIZE))

    def restart(self) -> None:
        """Forget everything that arrived."""
        self.save_info(None)
        self.truncate(0)

    def require_space(self, total: int) -> None:
        """Raise OSError if the missing bytes do not fit on the disk. Some file systems wrongly report 0 free bytes."""
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
            atomic.fsync(file)
            if not atomic.is_at(self.path, file):
                raise self._lost()
            file.close()  # Windows cannot rename an open file
        self._remove_abandoned()
        try:
            atomic.replace(self.path, self.target)
        except FileNotFoundError as error:  # a virus scanner may remove a file as soon as it is closed
            raise self._lost() from error
        self._file = None
        self._remove_sidecar()
        atomic.fsync_directory(self.target.parent)
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
            atomic.remove(self.path)
        self._remove_abandoned()
        if not self.path.exists():
            self._remove_sidecar()

    def _remove_sidecar(self) -> None:
        if self._sidecar is not None and self._is_owner():
            with contextlib.suppress(OSError):
                atomic.remove_and_close(self._sidecar_path, self._sidecar)

    def _open_shared(self) -> bool:
        """Lock the sidecar and open the partial file. Return False if that is not possible."""
        useless = False
        try:
            self._lock_sidecar()
            assert self._sidecar is not None
            info = parse_info(self._sidecar.read(_INFO_SIZE))
            useless = info is None
            self.save_info(info)
            self._file = atomic.open_or_create(self.path)
            size = self._file.seek(0, os.SEEK_END) if info else 0
            self.truncate(size if info is None or info.contiguous is None else min(size, info.contiguous))
        except OSError as error:
            no_locks = error.errno not in _TAKEN and not self.path.exists()
            if self._sidecar is not None and (useless or no_locks):
                with contextlib.suppress(OSError):
                    atomic.remove_and_close(self._sidecar_path, self._sidecar)
            self.after_fork_in_child()
            return False
        self._remove_abandoned()
        return True

    def _lock_sidecar(self) -> None:
        """Open and lock the sidecar, or raise OSError. A second attempt detects locks that do not work."""
        while True:
            self._sidecar = atomic.open_or_create(self._sidecar_path)
            atomic.lock(self._sidecar)
            if atomic.is_at(self._sidecar_path, self._sidecar):
                break
            self._sidecar.close()  # its last owner removed it after it was opened here
        with atomic.open_own(self._sidecar_path) as again:
            try:
                atomic.lock(again)
            except OSError:
                return
        raise OSError(errno.ENOLCK, "one lock was granted twice", str(self._sidecar_path))

    def _open_private(self) -> None:
        self._private = True
        while True:
            self.path = self.target.with_name(f"{self._stem}.{os.urandom(4).hex()}.part")
            self._file = atomic.create(self.path)
            if os.name != "nt":  # Windows cannot remove an open file
                with contextlib.suppress(OSError):  # there may be no locks
                    atomic.lock(self._file)
            if atomic.is_at(self.path, self._file):
                return
            self._file.close()  # removed as abandoned before it was locked

    def _remove_abandoned(self) -> None:
        """Remove the private partial files of killed processes, if this process holds the lock."""
        if self._sidecar is None:
            return
        pattern = re.compile(re.escape(self._stem) + r"\.[0-9a-f]{8}\.part")
        for path in self.target.parent.iterdir():
            # A file with a sidecar is not private: it belongs to a target whose name looks like a private one.
            if pattern.fullmatch(path.name) and not path.with_name(f"{path.name}.json").exists():
                with contextlib.suppress(OSError), atomic.open_own(path) as file:
                    if os.name != "nt":
                        atomic.lock(file)
                    atomic.remove_and_close(path, file)

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
        return self._owner.encode() in self._sidecar.read(_INFO_SIZE) and atomic.is_at(
            self._sidecar_path, self._sidecar
        )

    def _lost(self) -> PartialLost:
        self.info = None  # the rest is not worth resuming
        return PartialLost(errno.ENOENT, "another program removed or changed the partial file", str(self.path))
