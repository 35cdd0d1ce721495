"""ResponseFile: the bytes that a function streams back, as a binary file object."""

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
from support.scripted import answer

import sidefx_client as sidefx

STREAM = {"Content-Type": "application/octet-stream"}
LINES = b"".join(b"line %d\n" % number for number in range(1000))


@contextlib.contextmanager
def stream(data: bytes, headers: dict[str, str] | None = None) -> Iterator[sidefx.ResponseFile]:
    with sidefx.ResponseFile(received(answer(200, data, {**STREAM, **(headers or {})}))) as file:
        yield file


def test_it_reads_like_a_file() -> None:
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


def test_it_is_iterated_by_lines() -> None:
    with stream(LINES) as file:
        assert list(file) == LINES.splitlines(keepends=True)


def test_it_can_be_copied() -> None:
    target = io.BytesIO()
    with stream(LINES) as file:
        shutil.copyfileobj(file, target)
    assert target.getvalue() == LINES


@pytest.mark.parametrize("headers", [{}, {"Content-Encoding": "gzip"}])
def test_it_can_be_unpacked_as_it_comes(headers: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "shot.hip").write_bytes(LINES)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(tmp_path / "shot.hip", "shot.hip")
    data = packed.getvalue()
    with stream(gzip.compress(data) if headers else data, headers) as file:
        with tarfile.open(fileobj=file, mode="r|gz") as archive:
            contents = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    assert contents == {"shot.hip": LINES}


def test_it_has_a_size_where_the_server_says_one() -> None:
    with stream(LINES) as file:
        assert file.size == len(LINES)
    with stream(gzip.compress(LINES), {"Content-Encoding": "gzip"}) as file:
        assert file.size is None
    with stream(b"0\r\n\r\n", {"Transfer-Encoding": "chunked"}) as file:
        assert file.size is None


def test_it_has_a_safe_name_where_the_server_gives_one() -> None:
    with stream(LINES) as nameless, sidefx.ResponseFile(sample("stream.http")) as named:
        assert (nameless.name, named.name) == (None, "shelf.tgz")
        assert repr(named) == "<ResponseFile name='shelf.tgz' size=22>"


def test_its_response_is_that_of_requests_with_the_bytes_as_they_were_sent() -> None:
    coded = gzip.compress(LINES)
    with stream(coded, {"Content-Encoding": "gzip"}) as file:
        assert file.response.status_code == 200
        assert file.response.raw.read(decode_content=False) == coded


def test_a_cut_stream_is_an_error_and_never_a_short_file() -> None:
    with stream(LINES, {"Content-Length": str(len(LINES) + 1)}) as file:
        assert file.read(100) == LINES[:100]
        with pytest.raises(sidefx.TransportError):
            file.read()


def test_a_stream_that_cannot_be_read_is_refused_and_leaves_no_warning() -> None:
    with pytest.raises(sidefx.TransportError, match="nobody asked for"):
        sidefx.ResponseFile(received(answer(200, LINES, {"Content-Encoding": "br"})))
    gc.collect()


# save()


def test_it_is_saved_whole_and_closed(tmp_path: Path) -> None:
    steps: list[tuple[int, int | None]] = []
    with stream(LINES) as file:
        path = file.save(tmp_path / "out.bin", progress=lambda done, total: steps.append((done, total)))
        assert file.closed
    assert path == tmp_path / "out.bin"
    assert path.read_bytes() == LINES
    assert (steps[0], steps[-1]) == ((0, len(LINES)), (len(LINES), len(LINES)))


def test_progress_without_a_size_has_no_total_and_still_an_end(tmp_path: Path) -> None:
    steps: list[tuple[int, int | None]] = []
    with stream(gzip.compress(LINES), {"Content-Encoding": "gzip"}) as file:
        file.save(str(tmp_path / "out.bin"), lambda done, total: steps.append((done, total)))
    assert (steps[0], steps[-1]) == ((0, None), (len(LINES), None))


@pytest.mark.parametrize("fault", ["cut", "cancelled"])
def test_what_was_not_saved_whole_leaves_the_older_file(tmp_path: Path, fault: str) -> None:
    def progress(done: int, total: int | None) -> None:
        if fault == "cancelled":
            raise KeyboardInterrupt

    (tmp_path / "out.bin").write_bytes(b"older")
    with stream(LINES, {"Content-Length": str(len(LINES) + 1)}) as file:
        with pytest.raises((sidefx.TransportError, KeyboardInterrupt)):
            file.save(tmp_path / "out.bin", progress)
        assert file.closed
    assert (tmp_path / "out.bin").read_bytes() == b"older"
    assert os.listdir(tmp_path) == ["out.bin"]


def test_a_directory_that_is_not_there_is_an_oserror(tmp_path: Path) -> None:
    with stream(LINES) as file, pytest.raises(FileNotFoundError):
        file.save(tmp_path / "no" / "out.bin")


# The warning


def test_a_stream_that_nobody_closed_warns_when_it_is_collected() -> None:
    file = sidefx.ResponseFile(sample("stream.http"))
    with pytest.warns(ResourceWarning, match=r"unclosed <ResponseFile name='shelf\.tgz'"):  # noqa: PT031
        del file
        gc.collect()


def test_a_stream_that_was_read_to_its_end_does_not() -> None:
    file = sidefx.ResponseFile(sample("stream.http"))
    file.read()
    del file
    gc.collect()
