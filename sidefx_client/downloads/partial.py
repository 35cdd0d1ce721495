"""The bytes of a file that have arrived so far, kept beside its target for the next run.

``NAME.part`` holds the bytes, ``NAME.part.json`` (the sidecar) tells which file they belong to. A process that works on
them locks the sidecar. The operating system releases the lock when the process ends. If the lock is taken, or the file
system does not have locks, the bytes go to a private ``NAME.RANDOM.part``. The next run does not resume a private file.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import json
import os
import shutil
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple

from .. import atomic
from ..transport.adapter import run_after_fork

_BLOCK, _STEP = 256 * 1024, 16 << 20  # bytes hashed at once, and between two reports of progress
_INFO_SIZE = 1024  # bytes: always written at once, so that a killed process leaves the old info or the new


class ResumeInfo(NamedTuple):
    """The file that the first ``contiguous`` bytes of a partial file belong to. It has ``total`` bytes if known."""

    url_path_md5: str
    total: int | None
    md5: str | None
    validator: str | None
    contiguous: int = 0


def parse_info(data: bytes) -> ResumeInfo | None:
    """Return the info in a sidecar, or None if it is damaged."""
    try:
        info = ResumeInfo(**json.loads(data))
    except (ValueError, TypeError, RecursionError):
        return None
    kinds: Any = (str, (int, type(None)), (str, type(None)), (str, type(None)), int)
    return info if all(map(isinstance, info, kinds)) and info.contiguous >= 0 else None


class PartialLost(FileNotFoundError):
    """The partial file was removed, truncated or taken over by another program."""


class Partial:
    """The partial file at ``path``, of which the first ``size`` bytes are complete, and the ``info`` about them.

    The first ``hashed`` bytes are in ``md5``. ``is_mixed`` is True if some bytes may be of another version, such as
    those of an earlier run. Use it with ``with``. On exit the partial file is kept if it can be resumed,
    otherwise deleted. Raises OSError early if the directory is missing or not writable.
    """

    def __init__(self, target: Path, *, private: bool = False) -> None:
        atomic.require_regular_file(target)
        self.info: ResumeInfo | None = None
        self.size = 0
        self.is_mixed = False
        self.md5, self.hashed = hashlib.md5(usedforsecurity=False), 0
        self.target = target
        self._stem = atomic.short_name(target)
        self._sidecar_path = target.with_name(f"{self._stem}.part.json")
        self.path = self._sidecar_path.with_suffix("")
        self._private = private
        self._buffer = memoryview(bytearray(_BLOCK))
        self._written, self._saved = 0, b""  # bytes that the partial file must have, content of the sidecar
        self._file: FileIO | None = None
        self._sidecar: FileIO | None = None
        run_after_fork(self)

    def __enter__(self) -> Partial:
        try:
            if self._private or not self._open_shared():
                self._open_private()
        except BaseException:
            self.__exit__()
            raise
        return self

    def hash_some(self) -> bool:
        """Hash some of the complete bytes, read back from the file. Return whether there are more."""
        end = min(self.size, self.hashed + _STEP)
        while self.hashed < end:
            file = self._intact()
            file.seek(self.hashed)
            self.hash(self._buffer[: file.readinto(self._buffer[: end - self.hashed])])
        return self.hashed < self.size

    def hash(self, block: bytes | memoryview) -> None:
        """Add the bytes that follow the first ``hashed`` ones to ``md5``."""
        self.md5.update(block)
        self.hashed += len(block)

    def write(self, offset: int, block: bytes | memoryview) -> None:
        file = self._intact()
        file.seek(offset)
        atomic.write_all(file, block)
        self._written = max(self._written, offset + len(block))

    def truncate(self, size: int) -> None:
        """Keep the first ``size`` bytes only."""
        self.save(self.info, size)
        self._intact().truncate(size)
        self._written = size

    def save(self, info: ResumeInfo | None, size: int) -> None:
        """Store for the next run that the first ``size`` bytes are complete, and which file they belong to."""
        self.info, self.size = info, size
        if self._sidecar is not None:
            fields = info._replace(contiguous=size)._asdict() if info else None
            self._saved = json.dumps(fields).encode().ljust(_INFO_SIZE)
            self._sidecar.seek(0)
            atomic.write_all(self._sidecar, self._saved)

    def restart(self) -> None:
        """Discard the info and all bytes."""
        self.info, self.is_mixed = None, False
        self.md5, self.hashed = hashlib.md5(usedforsecurity=False), 0
        self.truncate(0)

    def require_space(self, total: int | None) -> None:
        """Raise OSError if the missing bytes do not fit on the disk. Some file systems wrongly report 0 free bytes."""
        try:
            free = shutil.disk_usage(self.path.parent).free
        except OSError:
            return
        missing = (total or 0) - self.size
        if 0 < free < missing:
            raise OSError(errno.ENOSPC, f"not enough disk space: {missing} bytes needed, {free} free", str(self.target))

    def commit(self) -> Path:
        """Move the complete file into place and return its path."""
        atomic.fsync(self._intact())
        self._intact().close()  # Windows cannot rename an open file
        try:
            atomic.replace(self.path, self.target)
        except FileNotFoundError as error:  # a virus scanner may remove a file as soon as it is closed
            raise self._lost() from error
        return self.target

    def __exit__(self, *exc_info: object) -> None:
        try:
            with contextlib.suppress(OSError):  # the error that ended the transfer says more
                if self._file is None:  # in a forked child
                    return
                is_moved = not self._file.closed and not atomic.is_at(self.path, self._file)
                can_resume = self.size > 0 and self.info is not None and self._sidecar is not None
                self._file.close()
                if not (can_resume or is_moved):
                    atomic.remove(self.path)
                if self._sidecar is not None and not self.path.exists():
                    atomic.remove_open(self._sidecar_path, self._sidecar)
        finally:
            self.close()

    def close(self) -> None:
        """Close the files. A forked child does it too, because its copies of the descriptors would keep the lock."""
        for file in (self._file, self._sidecar):
            if file is not None:
                file.close()
        self._file = self._sidecar = None

    after_fork_in_child = close

    def _open_shared(self) -> bool:
        """Lock the sidecar and open the partial file. Return False if that is not possible."""
        try:
            while self._sidecar is None or not atomic.is_at(self._sidecar_path, self._sidecar):
                self.close()  # the last owner removed the sidecar after it was opened here
                self._sidecar = atomic.open_own(self._sidecar_path, os.O_RDWR | os.O_CREAT)
                atomic.lock(self._sidecar)
            self._file = atomic.open_own(self.path, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            is_taken = error.filename is None and isinstance(error, (BlockingIOError, PermissionError))
            # The file system has no locks, or there is a link or a file of another user at the path.
            if self._sidecar is not None and not is_taken and self._sidecar.seek(0, os.SEEK_END) == 0:
                with contextlib.suppress(OSError):  # another process has it open on Windows
                    atomic.remove_open(self._sidecar_path, self._sidecar)
            self.close()
            return False
        self.info = parse_info(self._sidecar.read(_INFO_SIZE))
        self._written = self._file.seek(0, os.SEEK_END)
        self.truncate(min(self._written, self.info.contiguous) if self.info else 0)
        self.is_mixed = self.size > 0
        self._remove_abandoned()
        return True

    def _open_private(self) -> None:
        while self._file is None or not atomic.is_at(self.path, self._file):
            self.close()  # another process removed it as abandoned before it was locked
            self.path = self.target.with_name(f"{self._stem}.{os.urandom(4).hex()}.part")
            self._file = open(self.path, "x+b", buffering=0)  # noqa: SIM115 (closed on exit)
            with contextlib.suppress(OSError):  # the file system may have no locks
                atomic.lock(self._file)

    def _remove_abandoned(self) -> None:
        """Remove the private partial files of killed processes, if this process holds the lock."""
        pattern = f"{glob.escape(self._stem)}.{'[0-9a-f]' * 8}.part"
        for path in self.target.parent.glob(pattern) if self._sidecar is not None else ():
            # A file with a sidecar is not private: it belongs to a target whose name looks like a private one.
            if not path.with_name(f"{path.name}.json").exists():
                with contextlib.suppress(OSError), atomic.open_own(path) as file:
                    atomic.lock(file)
                    atomic.remove_open(path, file)

    def _intact(self) -> FileIO:
        """Return the open file. Raise PartialLost if another program removed, replaced, truncated or claimed it."""
        file = self._file
        if file is None or not atomic.is_at(self.path, file) or file.seek(0, os.SEEK_END) < self._written:
            raise self._lost()
        if self._sidecar is not None:  # some file systems grant every lock, so the last process to save is the owner
            self._sidecar.seek(0)
            if self._sidecar.read(_INFO_SIZE) != self._saved:
                self.close()  # so that both files are left to their owner
                raise self._lost()
        return file

    def _lost(self) -> PartialLost:
        self.info = None  # the next run must not resume it
        return PartialLost(errno.ENOENT, "another program removed or changed the partial file", str(self.path))
