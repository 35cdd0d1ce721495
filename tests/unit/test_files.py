"""Tests of File: names, arguments and sizes. For sending files see U1 to U6."""

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
def test_file_is_named_by_the_last_path_component(filename: Any, options: dict[str, Any], name: str) -> None:
    file = sidefx.File(filename, **options)
    assert file.name_on_wire == name
    assert repr(file) == f"<File {name!r}>"
    assert file.filename is filename


def test_file_object_is_named_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "shot.hip"
    path.write_bytes(b"")
    with path.open("rb") as named, open(os.open(path, os.O_RDONLY), "rb") as numbered:
        assert sidefx.File(named).name_on_wire == "shot.hip"
        assert sidefx.File(numbered).name_on_wire == "unnamed.bin"


class Pipe(io.BytesIO):
    def seekable(self) -> bool:
        return False


@pytest.mark.parametrize(
    ("filename", "options", "kind"),
    [
        (None, {}, TypeError),
        (5, {}, TypeError),
        (b"content", {}, TypeError),
        ("a", {"progress": 5}, TypeError),
        ("a", {"size": -1}, ValueError),
        ("a", {"size": 1.5}, ValueError),
        ("a", {"size": True}, ValueError),
        (__file__, {"size": 1 << 40}, ValueError),
        (io.BytesIO(b"0123"), {"size": 5}, ValueError),
        (Pipe(b"0123"), {}, ValueError),
    ],
)
def test_invalid_arguments_raise_before_the_request(filename: Any, options: dict[str, Any], kind: Any) -> None:
    with pytest.raises(kind):
        sidefx.File(filename, **options).source()


def test_path_is_opened_by_source_and_closed_with_it(tmp_path: Path) -> None:
    file = sidefx.File(tmp_path / "shot.hip", size=4)
    (tmp_path / "shot.hip").write_bytes(b"0123456789")
    source = file.source()
    assert (source.size, b"".join(source)) == (4, b"0123")
    source.close()
    with pytest.raises(ValueError, match="closed"):
        os.fstat(source._file.fileno())
