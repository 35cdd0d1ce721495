"""Tests of multipart bodies and their sources. For names see properties/test_names.py, for changing files U3."""

from __future__ import annotations

import array
import io
import re
from pathlib import Path
from typing import Any

import pytest

import sidefx_client as sidefx
from sidefx_client.transport.connection import BLOCK
from sidefx_client.transport.multipart import BytesSource, FileSource, MultipartBody, SourceError


def make_body(*fields: tuple[str, str | None, bytes]) -> MultipartBody:
    return MultipartBody([(name, filename, BytesSource(data)) for name, filename, data in fields])


def test_multipart_body_has_the_parts_in_order() -> None:
    body = make_body(("json", None, b'["a.b", [], {}]'), ("scene", "shot.hip", b"\x00\r\n\xff"))
    boundary = re.fullmatch(r"multipart/form-data; boundary=(\w+)", body.content_type)[1]  # type: ignore[index]
    expected = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="json"\r\n\r\n["a.b", [], {{}}]\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="scene"; filename="shot.hip"\r\n'
        f"Content-Type: application/octet-stream\r\n\r\n\x00\r\n\xff\r\n--{boundary}--\r\n"
    )
    assert b"".join(body) == expected.encode("latin-1")


NUMBERS = memoryview(array.array("H", b"12345678"))


@pytest.mark.parametrize("data", [b"12345678", bytearray(b"12345678"), NUMBERS, memoryview(b"1-2-3-4-5-6-7-8-")[::2]])
def test_bytes_like_objects_are_sent(data: Any) -> None:
    body = make_body(("data", "unnamed.bin", data))
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


def test_exception_of_a_file_is_wrapped_in_source_error() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise error

    error = ConnectionResetError("a file on a network")
    with pytest.raises(SourceError) as caught:
        list(FileSource(Broken(), 0, 10, None, owned=False))
    assert caught.value.args == (error,)
