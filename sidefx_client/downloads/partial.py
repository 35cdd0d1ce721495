"""The part of a file that is there so far: kept beside its target, known again by the next run.

All names are in the target's directory. ``NAME.ID.part`` is a partial that nobody works on, ``NAME.ID.part.json`` the
note of what it is a part of. Who resumes it renames it to ``NAME.ID.HOST-PID-CLAIM.part``, which only one can do: that
is all the locking there is. ``ID`` stays with the bytes, so that no note can be taken for that of other bytes.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import socket
import stat
import time
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ..atomic import close_for_good, move, refuse_all_but_files, write_all

_ABANDONED = 86400.0  # seconds without a write after which another machine's partial is anybody's
_NOTE_SIZE = 1024  # bytes: a note is always rewritten whole, by one write, so that a kill leaves the old or the new

_HOST = re.sub("[^A-Za-z0-9]", "", socket.gethostname())[:16]
_claimed: set[Path] = set()  # by the threads of this process


class Note(NamedTuple):
    """What a partial is a part of: ``place`` stands for the path of the URL, ``total`` and ``good`` are bytes.

    ``good``: how many bytes from the start are sure to be there; None: all that the file has.
    """

    place: str
    total: int | None
    md5: str | None
    validator: str | None
    good: int | None = None


class PartialLost(FileNotFoundError):
    """Somebody took this partial for abandoned, and has it now."""


class Partial:
    """The first ``size`` bytes of ``target``, open as ``file``, and the ``note`` of what they are a part of, or None.

    Used with ``with``: it is claimed, or begun, at its start, and left for the next run at its end, unless it was
    committed, is empty, or has no note by which it could be known again. Raises OSError, before anything else, where
    the directory is not there or cannot be written.
    """

    file: BinaryIO
    path: Path

    def __init__(self, target: Path) -> None:
        refuse_all_but_files(target)
        self._target = target
        self._committed = False
        self.note: Note | None = None
        self.size = 0

    def __enter__(self) -> Partial:
        if not any(self._claim(found) for found in _free(self._target)):
            self._begin()
        return self

    def write(self, block: bytes) -> None:
        """Appends to what there is."""
        write_all(self.file, block)
        self.size += len(block)

    def describe(self, note: Note) -> None:
        """Keeps the note beside the partial, for the next run."""
        self.note = note
        data = json.dumps(note._asdict()).encode().ljust(_NOTE_SIZE)
        descriptor = os.open(self._note_path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)

    @property
    def is_of_use(self) -> bool:
        """Whether there is something to resume, by which it can be known again."""
        return self.size > 0 and self.note is not None

    def truncate(self, size: int) -> None:
        """Keeps the first ``size`` bytes alone."""
        self.file.truncate(size)
        self.file.seek(size)
        self.size = size

    def restart(self) -> None:
        """Forgets all that was there."""
        if self.size or self.note:
            self._discard()
            self._begin()

    def commit(self) -> Path:
        """Moves the file, which is whole, into place; returns the path of the target."""
        close_for_good(self.file)
        if not self.path.exists():  # then the note beside it is its new owner's
            raise PartialLost(errno.ENOENT, "somebody else has taken the partial of the download", str(self.path))
        self._note_path.unlink(missing_ok=True)
        try:
            move(self.path, self._target)
        except OSError:  # Windows: another program has the target open
            if self.note:
                self.describe(self.note)
            raise
        self._committed = True
        for other in _free(self._target):  # left where two were at work, and of no use any more
            with contextlib.suppress(OSError):  # somebody else's, in a directory such as /tmp
                _note_path(self._target, other.id).unlink(missing_ok=True)
                other.path.unlink(missing_ok=True)
        return self._target

    def __exit__(self, *exc_info: object) -> None:
        self.file.close()
        if not self._committed:
            with contextlib.suppress(OSError):  # what ended the transfer says more
                if self.is_of_use:
                    os.rename(self.path, self._target.with_name(f"{self._target.name}.{self._id}.part"))
                else:
                    self._discard()
        _claimed.discard(self.path)

    @property
    def _note_path(self) -> Path:
        return _note_path(self._target, self._id)

    def _begin(self) -> None:
        self.note, self.size = None, 0
        self._own(os.urandom(3).hex())
        try:
            self.file = open(self.path, "x+b", buffering=0)  # noqa: SIM115 (closed at the end)
        except BaseException:
            _claimed.discard(self.path)
            raise

    def _claim(self, found: _Found) -> bool:
        """Whether the partial is ours now: not where somebody was quicker, or nobody can tell what it is a part of."""
        self._own(found.id)
        try:
            if stat.S_ISREG(os.lstat(found.path).st_mode):
                os.rename(found.path, self.path)
                self.note = _read_note(self._note_path)
                if self.note:
                    self.file = open(self.path, "r+b", buffering=0)  # noqa: SIM115 (closed at the end)
                    there = os.fstat(self.file.fileno()).st_size
                    self.truncate(there if self.note.good is None else min(there, self.note.good))
                    return True
                self._unlink()
        except OSError:
            pass
        _claimed.discard(self.path)
        return False

    def _own(self, identifier: str) -> None:
        self._id = identifier
        owner = f"{_HOST}-{os.getpid()}-{os.urandom(2).hex()}"
        self.path = self._target.with_name(f"{self._target.name}.{identifier}.{owner}.part")
        _claimed.add(self.path)  # before it is there: another thread may be looking

    def _discard(self) -> None:
        self.file.close()
        self._unlink()
        _claimed.discard(self.path)

    def _unlink(self) -> None:
        if self.path.exists():  # where it is lost, the note is its new owner's
            # The note first: a partial alone is cleared away by the next run, which would not see a note alone.
            self._note_path.unlink(missing_ok=True)
            self.path.unlink(missing_ok=True)


class _Found(NamedTuple):
    path: Path
    id: str
    written: float  # when, in seconds since the epoch


def _free(target: Path) -> list[_Found]:
    """Partials of ``target`` that nobody works on, the newest first: left in good order, or by killed processes."""
    pattern = re.compile(re.escape(target.name) + r"\.([0-9a-f]{6})(?:\.([A-Za-z0-9]*)-(\d+)-[0-9a-f]{4})?\.part")
    found = []
    for path in target.parent.iterdir():
        match = pattern.fullmatch(path.name)
        if match and path not in _claimed:
            written = _written(path)
            host, pid = match[2], match[3]
            dead = pid is None or (host == _HOST and not _is_running(int(pid)))
            if dead or time.time() - written > _ABANDONED:
                found.append(_Found(path, match[1], written))
    return sorted(found, key=lambda partial: -partial.written)


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()  # it has just been claimed


def _is_running(pid: int) -> bool:
    """Whether another process has this number. On Windows nobody need know: no open file can be renamed there."""
    if os.name == "nt" or pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        pass  # somebody else's
    return True


def _note_path(target: Path, identifier: str) -> Path:
    return target.with_name(f"{target.name}.{identifier}.part.json")


def _read_note(path: Path) -> Note | None:
    try:
        note = Note(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    numbers, texts = (note.total, note.good), (note.md5, note.validator)
    well_formed = all(n is None or isinstance(n, int) for n in numbers) and all(
        t is None or isinstance(t, str) for t in texts
    )
    return note if well_formed else None
