"""Files on their way to the disk: written beside their target, moved into place when they are whole.

All names are in the target's directory. ``NAME.part`` is a partial that nobody works on, ``NAME.part.json`` what is known of
it. Who goes on with it renames it to a name of its own, which nobody can do twice: that is all the locking there is.
"""

from __future__ import annotations

import json
import os
import platform
import re
import secrets
import stat
import time
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

_ABANDONED = 86400.0  # seconds without a write after which another machine's partial is anybody's

_claimed: set[Path] = set()  # by the threads of this process


class NewFile:
    """A file that is there under ``path`` only once it was committed; until then under a name of its own beside it.

    Used with ``with``: without ``commit()`` nothing is left. The mode is that of the umask.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._target = Path(path)
        self._path = self._target.with_name(f"{self._target.name}.{secrets.token_hex(4)}.tmp")
        self._file: BinaryIO = open(self._path, "xb", buffering=0)  # noqa: SIM115 (closed by __exit__)

    def __enter__(self) -> NewFile:
        return self

    def write(self, data: bytes) -> None:
        write_all(self._file, data)

    def commit(self) -> Path:
        """Moves the file into place, on the disk for good; returns its path."""
        _move_into_place(self._file, self._path, self._target)
        return self._target

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)


class Partial:
    """The first ``size`` bytes of ``target``, open as ``file``, and a ``note``: what is known of the whole.

    Used with ``with``: it is claimed, or begun, at its start, and at its end left for the next run, unless it was committed
    or holds nothing. Raises OSError where the directory is not there or cannot be written.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        self._path = target.with_name(f"{target.name}.{_tag()}-{secrets.token_hex(3)}.part")
        self.note: dict[str, Any] = {}
        self.size = 0

    def __enter__(self) -> Partial:
        _claimed.add(self._path)
        try:
            adopted = any(self._adopt(path) for path in _unclaimed(self._target))
            self.file: BinaryIO = open(self._path, "r+b" if adopted else "x+b", buffering=0)
        except BaseException:
            _claimed.discard(self._path)
            raise
        if adopted:
            self.note = _read_note(self._path)
            self.size = min(os.fstat(self.file.fileno()).st_size, self.note.get("size_here", 1 << 62))
        return self

    def describe(self, **note: Any) -> None:
        """Keeps ``note`` beside the partial: without one, the next run cannot know what the partial is a part of."""
        self.note = note
        path = _note_path(self._path)
        new = path.with_name(path.name + ".new")
        new.write_text(json.dumps(note), encoding="utf-8")
        os.replace(new, path)

    def restart(self) -> None:
        """Forgets all that was there."""
        self.file.truncate(0)
        self.size = 0
        self.note = {}
        _note_path(self._path).unlink(missing_ok=True)

    def commit(self) -> Path:
        """Moves the file, which is whole, into place; returns the path of the target."""
        _move_into_place(self.file, self._path, self._target)
        return self._target

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        committed = self.file.closed
        self.file.close()
        _claimed.discard(self._path)
        waiting = self._target.with_name(self._target.name + ".part")
        if not committed and self.size and self.note:
            os.replace(_note_path(self._path), _note_path(waiting))
            os.replace(self._path, waiting)
            return
        self._path.unlink(missing_ok=True)
        _note_path(self._path).unlink(missing_ok=True)

    def _adopt(self, path: Path) -> bool:
        """Whether the partial at ``path`` is ours now; not so where another process was quicker, or has it open on Windows."""
        try:
            if not stat.S_ISREG(os.lstat(path).st_mode):
                return False
            os.rename(path, self._path)
        except OSError:
            return False
        try:
            os.rename(_note_path(path), _note_path(self._path))
        except OSError:
            self._path.unlink(missing_ok=True)  # nobody can tell what it is a part of
            return False
        return True


def write_all(file: BinaryIO, data: bytes) -> None:
    """An unbuffered file may take a part of a block: the rest follows, or the OSError of a full disk."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _move_into_place(file: BinaryIO, path: Path, target: Path) -> None:
    os.fsync(file.fileno())
    file.close()  # Windows renames no open file
    os.replace(path, target)
    if hasattr(os, "O_DIRECTORY"):  # the rename too, where the system lets a directory be flushed
        directory = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _tag() -> str:
    return f"{re.sub('[^A-Za-z0-9]', '', platform.node())[:24]}-{os.getpid()}"


def _unclaimed(target: Path) -> list[Path]:
    """Partials of ``target`` that nobody works on: the one that was left in good order, then those of killed processes."""
    claimed = re.compile(rf"{re.escape(target.name)}\.([A-Za-z0-9]*)-(\d+)-[0-9a-f]{{6}}\.part")
    here = _tag().partition("-")[0]
    found = [target.with_name(target.name + ".part")]
    for path in target.parent.iterdir():
        match = claimed.fullmatch(path.name)
        if match and path not in _claimed:
            dead = match[1] == here and not _is_running(int(match[2]))
            if dead or _age(path) > _ABANDONED:
                found.append(path)
    return found


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


def _is_running(pid: int) -> bool:
    """Whether another process of this number lives. On Windows nobody need know: an open file cannot be renamed there."""
    if os.name == "nt" or pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # somebody else's
    return True


def _note_path(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _read_note(path: Path) -> dict[str, Any]:
    try:
        note = json.loads(_note_path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}
