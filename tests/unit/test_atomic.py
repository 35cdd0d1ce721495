"""New files and partials: what is beside a target, and what becomes of it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from sidefx_client.atomic import NewFile
from sidefx_client.downloads import partial as partial_module
from sidefx_client.downloads.partial import Note, Partial, PartialLost

NOTE = Note("a-place", 10, None, '"one"')


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "build.tar.gz"


def left(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


def begin(target: Path, content: bytes = b"01234", note: Note = NOTE) -> None:
    """A partial that was left in good order."""
    with Partial(target) as partial:
        partial.describe(note)
        partial.write(content)


def test_a_new_file_is_there_only_once_it_was_committed(target: Path) -> None:
    target.write_bytes(b"old")
    with NewFile(target) as file:
        file.write(b"new")
        assert target.read_bytes() == b"old"
        assert file.commit() == target
        assert target.read_bytes() == b"new"
    assert left(target) == [target.name]


def test_a_new_file_that_was_not_committed_is_gone(target: Path) -> None:
    with NewFile(target) as file:
        file.write(b"new")
    assert left(target) == []


@pytest.mark.skipif(os.name != "posix", reason="mode bits are POSIX'")
@pytest.mark.parametrize("kind", [NewFile, Partial])
def test_a_file_gets_the_mode_of_the_umask(target: Path, kind: Any) -> None:
    umask = os.umask(0o027)
    try:
        with kind(target) as file:
            file.write(b"new")
            file.commit()
    finally:
        os.umask(umask)
    assert target.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("kind", [NewFile, Partial])
def test_a_directory_is_refused_before_anything_is_written(tmp_path: Path, kind: Any) -> None:
    with pytest.raises(IsADirectoryError):
        kind(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
@pytest.mark.parametrize("kind", [NewFile, Partial])
def test_what_is_no_regular_file_is_not_replaced(target: Path, kind: Any) -> None:
    os.mkfifo(target)
    with pytest.raises(OSError, match="no regular file"), kind(target) as file:
        file.commit()
    assert target.is_fifo()


@pytest.mark.parametrize("kind", [NewFile, Partial])
def test_a_missing_directory_is_the_systems_own_error(tmp_path: Path, kind: Any) -> None:
    with pytest.raises(FileNotFoundError), kind(tmp_path / "missing" / "file"):
        pass


def test_a_partial_is_gone_on_with_by_the_next(target: Path) -> None:
    begin(target)
    with Partial(target) as partial:
        assert (partial.size, partial.note) == (5, NOTE)
        partial.write(b"56789")
        assert partial.commit() == target
    assert target.read_bytes() == b"0123456789"
    assert left(target) == [target.name]


@pytest.mark.parametrize("note", [None, NOTE])
def test_a_partial_that_is_empty_or_that_nobody_could_know_again_is_not_left(target: Path, note: Note | None) -> None:
    with Partial(target) as partial:
        if note:
            partial.describe(note)
        else:
            partial.write(b"01234")
    assert left(target) == []


def test_only_the_bytes_that_are_sure_are_gone_on_with(target: Path) -> None:
    begin(target, note=NOTE._replace(good=3))
    with Partial(target) as partial:
        assert partial.size == 3
        partial.write(b"x")
        partial.file.seek(0)
        assert partial.file.read() == b"012x"


def test_a_restart_forgets_bytes_and_note(target: Path) -> None:
    begin(target)
    with Partial(target) as partial:
        partial.restart()
        assert (partial.size, partial.note, partial.file.read()) == (0, None, b"")
    assert left(target) == []


@pytest.mark.parametrize(
    "garbage",
    [b"", b"{", b"[]", b"{}", b'{"place": 1}', json.dumps({**NOTE._asdict(), "good": "3"}).encode(), b"\xff", None],
)
def test_a_partial_whose_note_cannot_be_read_is_dropped(target: Path, garbage: bytes | None) -> None:
    begin(target)
    note = next(target.parent.glob("*.json"))
    note.unlink() if garbage is None else note.write_bytes(garbage)
    with Partial(target) as partial:
        assert (partial.size, partial.note) == (0, None)
    assert left(target) == []


def test_a_note_is_rewritten_in_place(target: Path) -> None:
    with Partial(target) as partial:
        partial.describe(NOTE._replace(validator='"' + "x" * 200 + '"'))
        partial.describe(NOTE)
        partial.write(b"01234")
    with Partial(target) as partial:
        assert partial.note == NOTE


def test_two_never_work_on_one_partial(target: Path) -> None:
    begin(target)
    with Partial(target) as first, Partial(target) as second:
        assert (first.size, second.size) == (5, 0)
        second.describe(NOTE)
        second.write(b"01")
    with Partial(target) as third:
        assert third.size in (5, 2)
        third.commit()
    assert left(target) == [target.name]


def test_of_many_threads_one_gets_the_partial(target: Path) -> None:
    begin(target)
    ready, over, sizes = threading.Barrier(8), threading.Barrier(8), []

    def claim() -> None:
        ready.wait()
        with Partial(target) as partial:
            sizes.append(partial.size)
            over.wait()

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(sizes) == [0] * 7 + [5]


HOLD = """
import sys
from pathlib import Path
from sidefx_client.downloads.partial import Note, Partial
with Partial(Path(sys.argv[1])) as partial:
    partial.describe(Note("a-place", 10, None, '"one"'))
    partial.write(b"01234")
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(os.name != "posix", reason="on Windows the open file is the claim")
def test_a_partial_is_free_once_its_process_was_killed_and_not_before(target: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(target)]
    environment = {**os.environ, "PYTHONPATH": str(Path(partial_module.__file__).parents[2])}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        with Partial(target) as partial:
            assert partial.size == 0
        child.kill()
    with Partial(target) as partial:
        assert partial.size == 5
        partial.commit()
    assert left(target) == [target.name]


@pytest.mark.parametrize(("age", "size"), [(3600, 0), (2 * 86400, 5)])
def test_another_machines_partial_is_free_a_day_after_its_last_byte(target: Path, age: int, size: int) -> None:
    begin(target)
    free = next(target.parent.glob("*.part"))
    theirs = free.with_name(free.name.replace(".part", ".elsewhere-999999999-0a1b.part"))
    free.rename(theirs)
    then = theirs.stat().st_mtime - age
    os.utime(theirs, (then, then))
    with Partial(target) as partial:
        assert partial.size == size


def test_what_is_in_the_way_of_tidying_up_does_not_undo_a_whole_file(target: Path) -> None:
    target.with_name(f"{target.name}.0a1b2c.part").mkdir()
    with Partial(target) as partial:
        partial.write(b"whole")
        assert partial.commit().read_bytes() == b"whole"


def test_the_partial_of_a_process_that_cannot_be_is_free(target: Path) -> None:
    begin(target)
    free = next(target.parent.glob("*.part"))
    free.rename(free.with_name(free.name.replace(".part", f".{partial_module._HOST}-{10**20}-0a1b.part")))
    with Partial(target) as partial:
        assert partial.size == 5


@pytest.mark.parametrize("newest", [1, 2, 3, 4, 5])
def test_of_several_partials_the_newest_is_gone_on_with(target: Path, newest: int) -> None:
    with contextlib.ExitStack() as runs:
        for size in range(1, 6):
            partial = runs.enter_context(Partial(target))
            partial.describe(NOTE)
            partial.write(bytes(size))
    for path in target.parent.glob("*.part"):
        os.utime(path, (2e9, 2e9) if path.stat().st_size == newest else (1e9, 1e9))
    with Partial(target) as last:
        assert last.size == newest


@pytest.mark.skipif(os.name != "posix", reason="needs symbolic links")
def test_a_link_in_place_of_a_partial_is_left_alone(target: Path) -> None:
    begin(target)
    free = next(target.parent.glob("*.part"))
    free.unlink()
    precious = target.with_name("precious")
    precious.write_bytes(b"precious")
    free.symlink_to(precious)
    with Partial(target) as partial:
        assert partial.size == 0
    assert precious.read_bytes() == b"precious"


def test_a_partial_that_was_taken_away_is_said_to_be_lost(target: Path) -> None:
    with Partial(target) as partial:
        partial.describe(NOTE)
        partial.write(b"01234")
        partial.path.rename(target.with_name("taken"))
        with pytest.raises(PartialLost):
            partial.commit()


def test_the_note_of_a_partial_that_was_taken_away_is_its_new_owners(target: Path) -> None:
    with Partial(target) as partial:
        partial.describe(NOTE)
        partial.write(b"01234")
        partial.path.rename(target.with_name("taken"))
        partial.restart()
    assert [path for path in left(target) if path.endswith(".json")]


def test_a_move_that_fails_keeps_the_whole_file_for_the_next_run(target: Path) -> None:
    with Partial(target) as partial:
        partial.describe(NOTE)
        partial.write(b"0123456789")
        target.mkdir()
        with pytest.raises(OSError):
            partial.commit()
    target.rmdir()
    with Partial(target) as partial:
        assert (partial.size, partial.note) == (10, NOTE)
