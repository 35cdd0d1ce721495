"""Tests of multipart bodies and their sources. For names see properties/test_names.py, for changing files U3."""

from __future__ import annotations

import array
import io
import re
from pathlib import Path
from typing import Any

import pytest

import sidefx_client as sidefx
from sidefx_client.transport.multipart import BytesSource, FileSource, MultipartBody, SourceError


def read_all(body: MultipartBody, step: int = 1 << 20) -> bytes:
    return b"".join(iter(lambda: body.read(step), b""))


def make_body(*fields: tuple[str, str | None, bytes]) -> MultipartBody:
    return MultipartBody([(name, filename, BytesSource(data)) for name, filename, data in fields])


def test_multipart_body_has_the_parts_in_order() -> None:
    body = make_body(("json", None, b'["a.b", [], {}]'), ("scene", "shot.hip", b"\x00\r\n\xff"))
    boundary = re.fullmatch(r"multipart/form-data; boundary=(\w+)", body.content_type)[1]  # type: ignore[index]
    expected = [
        f"--{boundary}",
        'Content-Disposition: form-data; name="json"',
        "",
        '["a.b", [], {}]',
        f"--{boundary}",
        'Content-Disposition: form-data; name="scene"; filename="shot.hip"',
        "Content-Type: application/octet-stream",
        "",
        "\x00\r\n\xff",
        f"--{boundary}--",
        "",
    ]
    assert read_all(body) == "\r\n".join(expected).encode("latin-1")


@pytest.mark.parametrize(
    "data",
    [b"12345678", bytearray(b"12345678"), memoryview(b"12345678"), memoryview(array.array("H", b"12345678"))],
)
def test_bytes_like_objects_are_sent(data: Any) -> None:
    body = make_body(("data", "unnamed.bin", data))
    sent = read_all(body)
    assert b"\r\n\r\n12345678\r\n--" in sent
    assert len(sent) == len(body)


def test_non_contiguous_memoryview_is_sent() -> None:
    view: Any = memoryview(b"1-2-3-4-")[::2]
    assert b"\r\n\r\n1234\r\n--" in read_all(make_body(("data", "unnamed.bin", view)))


def test_closed_body_releases_its_bytearray() -> None:
    data = bytearray(b"chunk")
    body = MultipartBody([("data", "unnamed.bin", BytesSource(data))])
    with pytest.raises(BufferError):
        data.append(1)
    body.close()
    data.append(1)


def test_changed_file_cannot_be_rewound(tmp_path: Path) -> None:
    path = tmp_path / "shot.hip"
    path.write_bytes(b"0123456789")
    source = sidefx.File(path).source()
    assert source.rewind()
    source.read(5)
    path.write_bytes(b"9876543210!")
    assert not source.rewind()
    source.close()


def test_stream_cannot_be_rewound() -> None:
    source = FileSource(io.BytesIO(b"content"), None, 7, None, owned=False)
    assert source.rewind()  # before the first read
    source.read(100)
    assert not source.rewind()


def test_exception_of_a_file_is_wrapped_in_source_error() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise error

    error = ConnectionResetError("a file on a network")
    with pytest.raises(SourceError) as caught:
        FileSource(Broken(), 0, 10, None, owned=False).read(5)
    assert caught.value.error is error
