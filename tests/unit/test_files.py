"""File: a path or a binary file object on its way up; what it takes, says and refuses."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest

import sidefx_client as sidefx


@pytest.mark.parametrize(
    ("filename", "options", "name"),
    [
        ("dir/shot.hip", {}, "shot.hip"),
        ("dir\\shot.hip", {}, "shot.hip"),
        (Path("dir/shot.hip"), {}, "shot.hip"),
        ("dir/", {}, "unnamed.bin"),
        ("shot.hip", {"name": "other.hip"}, "other.hip"),
        ("shot.hip", {"name": "dir/other.hip"}, "other.hip"),
        (io.BytesIO(), {}, "unnamed.bin"),
        (io.BytesIO(), {"name": "shot.hip"}, "shot.hip"),
    ],
)
def test_the_server_sees_the_last_component_of_a_name(filename: Any, options: dict[str, Any], name: str) -> None:
    file = sidefx.File(filename, **options)
    assert file.name_on_wire == name
    assert repr(file) == f"<File {name!r}>"
    assert file.filename is filename


def test_a_file_objects_own_name_is_used_where_it_is_a_path(tmp_path: Path) -> None:
    path = tmp_path / "shot.hip"
    path.write_bytes(b"")
    with path.open("rb") as named, open(os.open(path, os.O_RDONLY), "rb") as numbered:
        assert sidefx.File(named).name_on_wire == "shot.hip"
        assert sidefx.File(numbered).name_on_wire == "unnamed.bin"


@pytest.mark.parametrize(
    ("filename", "options", "kind"),
    [
        (None, {}, TypeError),
        (5, {}, TypeError),
        (b"content", {}, TypeError),
        ("a", {"name": b"a"}, TypeError),
        ("a", {"progress": 5}, TypeError),
        ("a", {"size": -1}, ValueError),
        ("a", {"size": 1.5}, ValueError),
        ("a", {"size": True}, ValueError),
    ],
)
def test_what_is_no_file_is_refused_when_it_is_made(filename: Any, options: dict[str, Any], kind: Any) -> None:
    with pytest.raises(kind):
        sidefx.File(filename, **options)


def test_a_path_is_opened_when_it_is_sent_and_closed_after_it(tmp_path: Path) -> None:
    file = sidefx.File(tmp_path / "shot.hip", size=4)
    (tmp_path / "shot.hip").write_bytes(b"0123456789")
    source = file.source()
    assert (source.size, source.read(100)) == (4, b"0123")
    source.close()
    with pytest.raises(ValueError, match="closed"):
        os.fstat(source._file.fileno())


def test_an_object_is_sent_from_where_it_stands_and_left_there(tmp_path: Path) -> None:
    (tmp_path / "shot.hip").write_bytes(b"0123456789")
    with (tmp_path / "shot.hip").open("rb") as object:
        object.seek(6)
        for _ in range(2):
            source = sidefx.File(object).source()
            assert (source.size, source.read(100)) == (4, b"6789")
            source.close()
            assert object.tell() == 6


def test_an_object_that_was_not_read_after_all_stands_where_it_stood() -> None:
    object = io.BytesIO(b"0123456789")
    object.seek(6)
    sidefx.File(object).source().close()
    assert object.tell() == 6


def test_an_object_at_or_behind_its_end_is_empty() -> None:
    object = io.BytesIO(b"0123")
    object.seek(9)
    assert sidefx.File(object).source().size == 0


def test_an_object_that_cannot_seek_needs_a_size() -> None:
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as pipe, open(writing, "wb") as other_end:
        with pytest.raises(ValueError, match="size=…"):
            sidefx.File(pipe).source()
        other_end.write(b"0123456789")
        other_end.flush()
        source = sidefx.File(pipe, size=10).source()
        assert source.read(100) == b"0123456789"
        source.close()
        assert not pipe.closed


@pytest.mark.parametrize(
    ("file", "error"),
    [
        (sidefx.File("not/there"), FileNotFoundError),
        (sidefx.File("."), IsADirectoryError),
        (sidefx.File(os.devnull), OSError),
        (sidefx.File(__file__, size=1 << 40), ValueError),
        (sidefx.File(io.BytesIO(b"0123"), size=5), ValueError),
        (sidefx.File(io.StringIO("text")), TypeError),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_sent_is_told_before_anything_is(file: sidefx.File, error: type[Exception]) -> None:
    with pytest.raises(error):
        file.source()
