"""Tests of ResponseFile: reading, save() and its attributes. For truncated streams see H10, for the warning C5."""

from __future__ import annotations

import contextlib
import gc
import gzip
import io
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.responses import received, sample
from support.scripted import http_response

import sidefx_client as sidefx

STREAM = {"Content-Type": "application/octet-stream"}
LINES = b"".join(b"line %d\n" % number for number in range(1000))


@contextlib.contextmanager
def stream(data: bytes, headers: dict[str, str] | None = None) -> Iterator[sidefx.ResponseFile]:
    with sidefx.ResponseFile(received(http_response(200, data, {**STREAM, **(headers or {})}))) as file:
        yield file


def test_response_file_reads_like_a_binary_file() -> None:
    with stream(LINES) as file:
        assert (file.readable(), file.writable(), file.seekable(), file.closed) == (True, False, False, False)
        assert file.read(5) == LINES[:5]
        assert file.readline() == LINES[5:7]
        buffer = bytearray(10)
        assert file.readinto(buffer) == 10
        assert buffer == LINES[7:17]
        assert file.read() == LINES[17:]
        assert file.read() == b""
    assert file.closed


def test_response_file_works_with_iteration_and_copyfileobj() -> None:
    target = io.BytesIO()
    with stream(LINES) as file, stream(LINES) as lines:
        shutil.copyfileobj(file, target)
        assert list(lines) == LINES.splitlines(keepends=True)
    assert target.getvalue() == LINES


@pytest.mark.parametrize("headers", [{}, {"Content-Encoding": "gzip"}])
def test_response_file_works_with_tarfile(headers: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "shot.hip").write_bytes(LINES)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(tmp_path / "shot.hip", "shot.hip")
    data = packed.getvalue()
    with stream(gzip.compress(data) if headers else data, headers) as file:
        with tarfile.open(fileobj=file, mode="r|gz") as archive:
            contents = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    assert contents == {"shot.hip": LINES}


def test_size_is_the_content_length_or_unknown() -> None:
    with stream(LINES) as file:
        assert file.size == len(LINES)
    with stream(gzip.compress(LINES), {"Content-Encoding": "gzip"}) as file:
        assert file.size is None
    with stream(b"0\r\n\r\n", {"Transfer-Encoding": "chunked"}) as file:
        assert file.size is None


def test_name_is_the_safe_name_of_the_response(tmp_path: Path) -> None:
    with stream(LINES) as nameless, sidefx.ResponseFile(sample("stream.http")) as named:
        assert (nameless.name, named.name) == (None, "shelf.tgz")
        assert repr(named) == "<ResponseFile name='shelf.tgz' size=22>"
        assert named.save(tmp_path) == tmp_path / "shelf.tgz"


def test_response_raw_has_the_undecoded_bytes() -> None:
    coded = gzip.compress(LINES)
    with stream(coded, {"Content-Encoding": "gzip"}) as file:
        assert file.response.status_code == 200
        assert file.response.raw.read(decode_content=False) == coded


@pytest.mark.parametrize("coding", [None, "gzip"])
def test_save_writes_the_file_and_closes_the_stream(tmp_path: Path, coding: str | None) -> None:
    steps: list[tuple[int, int | None]] = []
    total = None if coding else len(LINES)
    with stream(gzip.compress(LINES) if coding else LINES, {"Content-Encoding": coding} if coding else {}) as file:
        path = file.save(tmp_path / "out.bin", progress=lambda done, total: steps.append((done, total)))
        assert file.closed
    assert path == tmp_path / "out.bin"
    assert path.read_bytes() == LINES
    assert (steps[0], steps[-1]) == ((0, total), (len(LINES), total))


@pytest.mark.parametrize("fault", ["cut", "cancelled"])
def test_failed_save_keeps_the_older_file(tmp_path: Path, fault: str) -> None:
    def progress(done: int, total: int | None) -> None:
        if fault == "cancelled":
            raise KeyboardInterrupt

    (tmp_path / "out.bin").write_bytes(b"older")
    with stream(LINES, {"Content-Length": str(len(LINES) + 1)}) as file:
        with pytest.raises((sidefx.TransportError, KeyboardInterrupt)):
            file.save(tmp_path / "out.bin", progress)
    assert (tmp_path / "out.bin").read_bytes() == b"older"
    assert os.listdir(tmp_path) == ["out.bin"]


def test_D20_stream_can_be_read_after_a_failed_save(tmp_path: Path) -> None:
    with stream(LINES) as file:
        with pytest.raises(FileNotFoundError):
            file.save(tmp_path / "no" / "out.bin")
        assert file.read() == LINES


def test_stream_read_to_its_end_does_not_warn() -> None:
    file = sidefx.ResponseFile(sample("stream.http"))
    file.read()
    del file
    gc.collect()
