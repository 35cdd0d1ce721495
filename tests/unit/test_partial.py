"""Tests of partial files: resuming, locks, and changes by other programs."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.downloads import ROOT, left, md5

from sidefx_client import atomic
from sidefx_client.downloads.partial import Partial, PartialLost, ResumeInfo

INFO = ResumeInfo("a-path", 10, None, '"one"')
SHARED = ["build.part", "build.part.json"]
posix_only = pytest.mark.skipif(os.name != "posix", reason="POSIX locks and links")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "build"


def begin(target: Path, content: bytes = b"01234", info: ResumeInfo = INFO) -> None:
    """Leave a partial file for the next run."""
    with Partial(target) as partial:
        receive(partial, content, info)


def receive(partial: Partial, content: bytes, info: ResumeInfo | None = None) -> None:
    partial.write(partial.size, content)
    partial.save(info or partial.info, partial.size + len(content))


def test_partial_file_is_resumed_by_the_next_run(target: Path) -> None:
    begin(target)
    assert left(target.parent) == SHARED
    with Partial(target) as partial:
        assert (partial.size, partial.info) == (5, INFO._replace(contiguous=5))
        receive(partial, b"56789")
        partial.hash_up_to(10)
        assert partial.md5.hexdigest() == md5(b"0123456789")
        assert partial.commit() == target
    assert target.read_bytes() == b"0123456789"
    assert left(target.parent) == ["build"]


@pytest.mark.parametrize(("info", "content"), [(None, b"01234"), (INFO, b"")])
def test_unrecognizable_partial_file_is_removed(target: Path, info: ResumeInfo | None, content: bytes) -> None:
    with Partial(target) as partial:
        receive(partial, content, info)
    assert left(target.parent) == []


def test_only_contiguous_bytes_are_resumed(target: Path) -> None:
    with Partial(target) as partial:
        receive(partial, b"012", INFO)
        partial.write(4, b"4")
    with Partial(target) as partial:
        assert partial.size == 3
        receive(partial, b"x")
        assert partial.path.read_bytes() == b"012x"


@pytest.mark.parametrize(
    "garbage",
    [b"", b"{", b"[]", b"{}", b'{"total": 1}', json.dumps({**INFO._asdict(), "contiguous": "3"}).encode(), b"\xff"],
)
def test_partial_file_with_damaged_info_is_discarded(target: Path, garbage: bytes) -> None:
    begin(target)
    (target.parent / "build.part.json").write_bytes(garbage)
    with Partial(target) as partial:
        assert (partial.size, partial.info) == (0, None)
    assert left(target.parent) == []


def test_shorter_info_replaces_a_longer_one(target: Path) -> None:
    with Partial(target) as partial:
        receive(partial, b"0123", INFO._replace(validator='"' + "x" * 200 + '"'))
        receive(partial, b"4", INFO)
    with Partial(target) as partial:
        assert partial.info == INFO._replace(contiguous=5)


def test_partial_files_of_version_1_0_are_left_alone(target: Path) -> None:
    old = target.with_name("build.0a1b2c.part")
    old.write_bytes(b"01234")
    with Partial(target) as partial:
        assert partial.size == 0
        partial.commit()
    assert old.read_bytes() == b"01234"


# Locks


def test_D15_second_owner_gets_a_private_partial_file(target: Path) -> None:
    begin(target)
    with Partial(target) as first, Partial(target) as second:
        assert (first.size, second.size) == (5, 0)
        receive(second, b"ab", INFO)
        assert not second.is_kept
        receive(first, b"56789")
        assert first.path.read_bytes() == b"0123456789"
        assert second.commit().read_bytes() == b"ab"
        assert first.commit().read_bytes() == b"0123456789"
    assert left(target.parent) == ["build"]


HOLD = """
import os, sys
from pathlib import Path
from sidefx_client.downloads.partial import Partial, ResumeInfo
with Partial(Path(sys.argv[1]), private=sys.argv[2] == "private") as partial:
    partial.write(0, b"01234")
    partial.save(ResumeInfo("a-path", 10, None, '"one"'), 5)
    if sys.argv[2] == "forked" and os.fork() == 0:
        os.write(1, b"%d\\n" % os.getpid())
        import time
        time.sleep(60)
    os.write(1, b"ready\\n")
    sys.stdin.read()
"""


@contextlib.contextmanager
def owner(target: Path, kind: str = "shared") -> Any:
    """Another process that writes to the partial file; killed at the end if it still runs."""
    command = [sys.executable, "-W", "ignore", "-c", HOLD, str(target), kind]
    environment = {**os.environ, "PYTHONPATH": ROOT}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(2 if kind == "forked" else 1)]
        child.forked = [int(line) for line in lines if line.strip().isdigit()]  # type: ignore[attr-defined]
        try:
            yield child
        finally:
            child.kill()


def test_D15_partial_file_is_free_when_its_process_is_killed(target: Path) -> None:
    with owner(target) as child:
        with Partial(target) as partial:
            assert partial.size == 0
        child.kill()
        child.wait()
        with Partial(target) as partial:
            assert partial.size == 5
            partial.commit()
    assert left(target.parent) == ["build"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_D15_forked_child_does_not_keep_the_lock(target: Path) -> None:
    with owner(target, "forked") as child:
        child.kill()
        child.wait()
        try:
            with Partial(target) as partial:
                assert partial.size == 5
        finally:
            os.kill(child.forked[0], 9)


def test_D15_private_files_of_killed_processes_are_removed(target: Path) -> None:
    with owner(target, "private") as child:
        with Partial(target):
            pass
        assert len(left(target.parent)) == 1
        child.kill()
        child.wait()
        with Partial(target):
            pass
    assert left(target.parent) == []


def test_D15_partial_file_of_a_similar_name_is_kept(target: Path) -> None:
    begin(target.with_name("build.0123abcd"))
    with Partial(target) as partial:
        partial.commit()
    assert left(target.parent) == ["build", "build.0123abcd.part", "build.0123abcd.part.json"]


@posix_only
def test_D15_removed_sidecar_is_not_used(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Partial(target).__enter__()
    receive(first, b"first")
    real = atomic.lock

    def finish_first(file: Any) -> None:
        monkeypatch.setattr(atomic, "lock", real)
        first.commit()
        first.__exit__()
        real(file)

    monkeypatch.setattr(atomic, "lock", finish_first)
    with Partial(target) as second, Partial(target) as third:
        assert target.read_bytes() == b"first"
        assert (second.path.name, third.path.name == second.path.name) == ("build.part", False)
    assert left(target.parent) == ["build"]


@posix_only
def test_D15_unseen_lock_of_another_machine_is_noticed(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On some file systems locks are local to a machine."""
    monkeypatch.setattr(atomic, "lock", lambda file: None)
    with Partial(target) as first:
        receive(first, b"01234", INFO)
        with Partial(target) as second:
            assert second.size == 5
            receive(second, b"56789")
            assert second.commit().read_bytes() == b"0123456789"
        for act in (lambda: first.write(5, b"x"), lambda: first.truncate(0), first.commit):
            with pytest.raises(PartialLost):
                act()
    assert target.read_bytes() == b"0123456789"
    assert left(target.parent) == ["build"]


# Other programs


@posix_only
@pytest.mark.parametrize("name", SHARED)
@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_D19_planted_link_is_not_followed(target: Path, name: str, link: Any) -> None:
    begin(target)
    precious = target.with_name("precious")
    precious.write_bytes(b"precious" * 100)
    (target.parent / name).unlink()
    link(precious, target.parent / name)
    with Partial(target) as partial:
        assert partial.size == 0
        receive(partial, b"whole")
        partial.commit()
    assert precious.read_bytes() == b"precious" * 100
    assert target.read_bytes() == b"whole"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can act as two users")
@pytest.mark.parametrize("name", SHARED)
def test_D19_partial_file_of_another_user_is_left_alone(target: Path, name: str) -> None:
    begin(target)
    os.chown(target.parent / name, 12345, 12345)
    with Partial(target) as partial:
        assert partial.size == 0
        receive(partial, b"whole")
        partial.commit()
    assert target.read_bytes() == b"whole"
    assert (target.parent / name).stat().st_uid == 12345


@posix_only
def test_D19_fifo_in_place_of_the_partial_file_is_left_alone(target: Path) -> None:
    os.mkfifo(target.with_name("build.part"))
    with Partial(target) as partial:
        receive(partial, b"whole")
        assert partial.commit().read_bytes() == b"whole"
    assert left(target.parent) == ["build", "build.part"]


@posix_only
@pytest.mark.parametrize("act", ["truncate", "remove", "replace"])
def test_D19_change_by_another_program_is_noticed_before_the_move(target: Path, act: str) -> None:
    with Partial(target) as partial:
        receive(partial, b"0123456789", INFO)
        if act == "truncate":
            os.truncate(partial.path, 3)
        elif act == "replace":
            target.with_name("other").write_bytes(b"other data")
            os.replace(target.with_name("other"), partial.path)
        else:
            partial.path.unlink()
        with pytest.raises(PartialLost):
            partial.commit()
    assert not target.exists()
    assert (act == "replace") == (SHARED[0] in left(target.parent))  # a file of another program is left alone


@pytest.mark.parametrize(("free", "fits"), [(4, False), (5, True), (0, True), (None, True)])
def test_D21_too_little_space_raises(target: Path, monkeypatch: pytest.MonkeyPatch, free: Any, fits: bool) -> None:
    def disk_usage(path: Path) -> Any:
        if free is None:
            raise OSError(errno.ENOSYS, "cannot tell")
        return type("Usage", (), {"free": free})

    monkeypatch.setattr("shutil.disk_usage", disk_usage)
    begin(target)
    with Partial(target) as partial, contextlib.ExitStack() as stack:
        if not fits:
            stack.enter_context(pytest.raises(OSError, match="not enough disk space: 5 bytes needed, 4 free"))
        partial.require_space(10)
