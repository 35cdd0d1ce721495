"""Tests of multipart bodies and their sources. For names see properties/test_names.py, for changing files U3."""

from __future__ import annotations

import array
import io
import tempfile
from pathlib import Path
from typing import Any

import pytest

import sidefx_client as sidefx
from sidefx_client.transport.connection import BLOCK
from sidefx_client.transport.multipart import BytesSource, FileSource, MultipartBody

NUMBERS = memoryview(array.array("H", b"12345678"))


@pytest.mark.parametrize("data", [b"12345678", bytearray(b"12345678"), NUMBERS, memoryview(b"1-2-3-4-5-6-7-8-")[::2]])
def test_bytes_like_objects_are_sent(data: Any) -> None:
    body = MultipartBody([("data", "unnamed.bin", BytesSource(data))])
    sent = b"".join(body)
    assert b"\r\n\r\n12345678\r\n--" in sent
    assert len(sent) == len(body)


def test_closed_source_releases_its_bytearray() -> None:
    data = bytearray(b"chunk")
    source = BytesSource(data)
    with pytest.raises(BufferError):
        data.append(1)
    source.close()
    data.append(1)


def test_changed_file_cannot_be_sent_again(tmp_path: Path) -> None:
    path = tmp_path / "shot.hip"
    path.write_bytes(b"0123456789")
    source = sidefx.File(path).source()
    assert (b"".join(source), b"".join(source)) == (b"0123456789", b"0123456789")
    assert source.is_repeatable()
    path.write_bytes(b"9876543210!")
    assert not source.is_repeatable()
    source.close()


def test_file_is_sent_in_blocks() -> None:
    source = FileSource(io.BytesIO(bytes(3 * BLOCK + 5)), 0, 3 * BLOCK + 5, None, owned=False)
    assert [len(block) for block in source] == [BLOCK, BLOCK, BLOCK, 5]


def test_stream_is_read_up_to_its_size_and_cannot_be_sent_again() -> None:
    stream = io.BytesIO(b"content, more")
    source = FileSource(stream, None, 7, None, owned=False)
    assert source.is_repeatable()  # before the first read
    assert b"".join(source) == b"content"
    assert not source.is_repeatable()
    assert stream.read() == b", more"


def test_temporary_file_in_memory_is_not_written_to_disk() -> None:
    with tempfile.SpooledTemporaryFile() as file:
        file.write(b"content")
        assert b"".join(FileSource(file, 0, 7, None, owned=False)) == b"content"  # type: ignore[arg-type,unused-ignore]
        assert not file._rolled  # type: ignore[attr-defined]
