"""Tests of partial files: resuming, locks, and changes by other programs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from support.downloads import left, md5, program

from sidefx_client import atomic
from sidefx_client.downloads.partial import Partial, PartialLost, ResumeInfo

INFO = ResumeInfo("a-path", 10, None, '"one"')
SHARED = ["build.part", "build.part.json"]
posix_only = pytest.mark.skipif(os.name != "posix", reason="POSIX locks and links")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "build"


def begin(target: Path) -> None:
    """Leave a partial file for the next run, with a byte after a hole."""
    with Partial(target) as partial:
        receive(partial, b"01234", INFO)
        partial.write(7, b"7")


def receive(partial: Partial, content: bytes, info: ResumeInfo | None = None) -> None:
    partial.write(partial.size, content)
    partial.save(info or partial.info, partial.size + len(content))


def test_partial_file_is_resumed_by_the_next_run(target: Path) -> None:
    begin(target)
    assert left(target.parent) == SHARED
    with Partial(target) as partial:
        assert (partial.size, partial.info) == (5, INFO._replace(contiguous=5))
        receive(partial, b"56789")
        partial.hash_some()
        assert partial.md5.hexdigest() == md5(b"0123456789")
        assert partial.commit() == target
    assert target.read_bytes() == b"0123456789"
    assert left(target.parent) == ["build"]


@pytest.mark.parametrize(("info", "content"), [(None, b"01234"), (INFO, b"")])
def test_unrecognizable_partial_file_is_removed(target: Path, info: ResumeInfo | None, content: bytes) -> None:
    with Partial(target) as partial:
        receive(partial, content, info)
    assert left(target.parent) == []


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


def test_files_of_version_1_0_and_of_similar_names_are_left_alone(target: Path) -> None:
    begin(target.with_name("build.0123abcd"))
    target.with_name("build.0a1b2c.part").write_bytes(b"01234")
    with Partial(target) as partial:
        assert partial.size == 0
        partial.commit()
    others = ["build.0123abcd.part", "build.0123abcd.part.json", "build.0a1b2c.part"]
    assert left(target.parent) == ["build", *others]


# Locks


FORKED = """
import os, sys, time
from pathlib import Path
from sidefx_client.downloads.partial import Partial, ResumeInfo
ready, told = os.pipe()
with Partial(Path(sys.argv[1])) as partial:
    partial.write(0, b"01234")
    partial.save(ResumeInfo("a-path", 10, None, '"one"'), 5)
    child = os.fork()
    if not child:
        os.write(told, b"x")
        time.sleep(60)
    os.read(ready, 1)
with Partial(Path(sys.argv[1])) as partial:
    print(partial.size)
os.kill(child, 9)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_D15_forked_child_does_not_keep_the_lock(target: Path) -> None:
    with program(FORKED, target) as parent:
        assert parent.stdout is not None
        assert parent.stdout.read() == "5\n"


def test_D15_private_files_of_killed_processes_are_removed(target: Path) -> None:
    target.with_name("build.0123abcd.part").write_bytes(b"01234")
    with Partial(target, private=True) as at_work:
        with Partial(target):
            pass
        assert left(target.parent) == [at_work.path.name]


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


# Other programs


def file_of_another_user(source: Path, path: Path) -> None:
    path.write_bytes(source.read_bytes())
    os.chown(path, 12345, 12345)


def dangling_link(source: Path, path: Path) -> None:
    path.symlink_to(source.with_name("not_created"))


def fifo(source: Path, path: Path) -> None:
    os.mkfifo(path)


as_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can act as two users")


@posix_only
@pytest.mark.parametrize("name", SHARED)
@pytest.mark.parametrize(
    "plant", [os.symlink, dangling_link, os.link, fifo, pytest.param(file_of_another_user, marks=as_root)]
)
def test_D19_planted_link_fifo_or_file_of_another_user_is_left_alone(target: Path, name: str, plant: Any) -> None:
    precious = target.with_name("precious")
    precious.write_bytes(b"precious" * 100)
    plant(precious, target.parent / name)
    with Partial(target) as partial:
        receive(partial, b"whole", INFO)
        partial.commit()
    assert target.read_bytes() == b"whole"
    assert precious.read_bytes() == b"precious" * 100
    assert left(target.parent) == ["build", name, "precious"]


@posix_only
@pytest.mark.parametrize("act", ["truncate", "remove", "replace", "claim"])
def test_D19_change_by_another_program_is_noticed_before_the_move(target: Path, act: str) -> None:
    with Partial(target) as partial:
        receive(partial, b"0123456789", INFO)
        if act == "truncate":
            os.truncate(partial.path, 3)
        elif act == "replace":
            target.with_name("other").write_bytes(b"other data")
            os.replace(target.with_name("other"), partial.path)
        elif act == "claim":  # by a process that was granted the lock too
            (target.parent / SHARED[1]).write_bytes(b"another version")
        else:
            partial.path.unlink()
        with pytest.raises(PartialLost):
            partial.commit()
    assert not target.exists()
    assert (act in ("replace", "claim")) == (SHARED[0] in left(target.parent))  # others' files are left alone
