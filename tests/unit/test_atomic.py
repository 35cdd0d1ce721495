"""Files that are moved into place when they are complete, and the moves that other programs delay."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import Any, Callable

import pytest
from support.downloads import left

from sidefx_client import atomic
from sidefx_client.atomic import AtomicFile
from sidefx_client.downloads.partial import Partial

posix_only = pytest.mark.skipif(os.name != "posix", reason="mode bits and links of POSIX")
both = pytest.mark.parametrize("kind", [AtomicFile, Partial])


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "build.tar.gz"


def write(file: Any, data: bytes) -> None:
    file.write(0, data) if isinstance(file, Partial) else file.write(data)


def test_file_appears_when_committed(target: Path) -> None:
    target.write_bytes(b"old")
    with AtomicFile(target) as file:
        file.write(b"new")
        assert target.read_bytes() == b"old"
        assert file.commit() == target
        assert target.read_bytes() == b"new"
    assert left(target.parent) == [target.name]


def test_uncommitted_file_is_removed(target: Path) -> None:
    with AtomicFile(target) as file:
        file.write(b"new")
    assert left(target.parent) == []


@posix_only
@both
def test_file_has_the_mode_of_the_umask(target: Path, kind: Any) -> None:
    umask = os.umask(0o027)
    try:
        with kind(target) as file:
            write(file, b"new")
            file.commit()
    finally:
        os.umask(umask)
    assert target.stat().st_mode & 0o777 == 0o640


@both
def test_directory_as_a_target_raises_at_once(tmp_path: Path, kind: Any) -> None:
    with pytest.raises(IsADirectoryError):
        kind(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this platform")
@both
def test_target_that_is_not_a_regular_file_is_not_replaced(target: Path, kind: Any) -> None:
    os.mkfifo(target)
    with pytest.raises(OSError, match="not a regular file"), kind(target) as file:
        file.commit()
    assert target.is_fifo()


@both
def test_D20_longest_legal_name_can_be_the_target(tmp_path: Path, kind: Any) -> None:
    for length in range(230, 256):
        target = tmp_path / ("n" * length)
        with kind(target) as file:
            write(file, b"new")
            file.commit()
        assert left(target.parent) == [target.name]
        target.unlink()


def test_D19_working_directory_may_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with AtomicFile("file") as file:
        os.chdir("elsewhere")
        assert file.commit() == tmp_path / "file"
    assert os.listdir() == []


UNSUPPORTED = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


@both
@pytest.mark.parametrize("code", [*UNSUPPORTED, errno.EIO])
def test_D16_unsupported_fsync_is_ignored_and_a_failed_one_raises(
    target: Path, monkeypatch: pytest.MonkeyPatch, kind: Any, code: int
) -> None:
    monkeypatch.setattr(os, "fsync", fail_first(os.fsync, OSError(code, "fsync"), 99))
    is_error = pytest.raises(OSError, match="fsync") if code not in UNSUPPORTED else contextlib.nullcontext()
    with kind(target) as file, is_error:
        write(file, b"new")
        file.commit()
    assert left(target.parent) == ([target.name] if code in UNSUPPORTED else [])


def in_use() -> PermissionError:
    """Return the error for a file that another program has open on Windows."""
    error = PermissionError(errno.EACCES, "used by another process")
    error.winerror = 32  # type: ignore[attr-defined,unused-ignore]
    return error


@both
@pytest.mark.parametrize("refusals", [3, 4])
def test_D16_move_refused_by_windows_is_retried(
    target: Path, monkeypatch: pytest.MonkeyPatch, kind: Any, refusals: int
) -> None:
    monkeypatch.setattr(atomic, "_WAITS", (0.0,) * 3)
    monkeypatch.setattr(os, "replace", fail_first(os.replace, in_use(), refusals))
    is_given_up = pytest.raises(PermissionError) if refusals == 4 else contextlib.nullcontext()
    with kind(target) as file, is_given_up:
        write(file, b"new")
        file.commit()
    assert left(target.parent) == ([target.name] if refusals == 3 else [])


def test_D16_permission_error_of_a_move_raises_at_once(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "replace", fail_first(os.replace, PermissionError(errno.EACCES, "no"), 1))
    with pytest.raises(PermissionError), AtomicFile(target) as file:
        file.commit()


def test_D16_retries_of_a_move_take_a_few_seconds() -> None:
    assert 3 <= sum(atomic._WAITS) <= 10


def fail_first(function: Callable[..., Any], error: Exception, times: int) -> Callable[..., Any]:
    """Return a function that raises ``error`` at the first ``times`` calls, then calls ``function``."""
    failures = iter(range(times))

    def replacement(*args: Any) -> Any:
        if next(failures, None) is not None:
            raise error
        return function(*args)

    return replacement
