"""An upload's body: its bytes, the quoting of names, its length, and its second sending."""

from __future__ import annotations

import array
import io
import logging
import os
import re
from pathlib import Path
from typing import Any

import pytest

import sidefx_client as sidefx
from sidefx_client.transport.multipart import BytesSource, FileSource, MultipartBody, SourceError


def all_of(body: MultipartBody, step: int = 1 << 20) -> bytes:
    return b"".join(iter(lambda: body.read(step), b""))


def a_body(*fields: tuple[str, str | None, bytes]) -> MultipartBody:
    return MultipartBody([(name, filename, BytesSource(data)) for name, filename, data in fields])


# The form


def test_the_parts_stand_one_after_the_other_between_boundaries() -> None:
    body = a_body(("json", None, b'["a.b", [], {}]'), ("scene", "shot.hip", b"\x00\r\n\xff"))
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
    assert all_of(body) == "\r\n".join(expected).encode("latin-1")


@pytest.mark.parametrize("step", [1, 3, 1 << 20])
def test_the_announced_length_is_the_length(step: int) -> None:
    body = a_body(("json", None, b"[]"), ("empty", "a", b""), ("scène", "Zoë 雪", bytes(1000)))
    assert len(all_of(body, step)) == len(body)


# One wire form on both lines of urllib3: whichever is installed has to meet the same table.


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("plain name.hip", "plain name.hip"),
        ('quo"te', "quo%22te"),
        ("back\\slash", "back%5Cslash"),
        ("line\r\nX-Injected: yes", "line%0D%0AX-Injected: yes"),
        ("tab\tand\x7f\x00", "tab%09and%7F%00"),
        ("Zoë 雪 🎬", "Zoë 雪 🎬"),
        ("percent%22", "percent%22"),
        ("semi;colon='x'", "semi;colon='x'"),
        (os.fsdecode(b"\xff.hip") if os.name == "posix" else "\udcff.hip", "?.hip"),
    ],
)
def test_names_are_quoted_as_browsers_do_it(name: str, wire: str) -> None:
    header = f'Content-Disposition: form-data; name="{wire}"; filename="{wire}"\r\n'.encode()
    assert header in all_of(a_body((name, name, b"")))


# Sources


@pytest.mark.parametrize(
    "data",
    [b"12345678", bytearray(b"12345678"), memoryview(b"12345678"), memoryview(array.array("H", b"12345678"))],
)
def test_bytes_are_sent_whatever_holds_them(data: Any) -> None:
    body = a_body(("data", "unnamed.bin", data))
    sent = all_of(body)
    assert b"\r\n\r\n12345678\r\n--" in sent
    assert len(sent) == len(body)


def test_a_view_with_gaps_is_sent_as_the_bytes_that_it_shows() -> None:
    view: Any = memoryview(b"1-2-3-4-")[::2]
    assert b"\r\n\r\n1234\r\n--" in all_of(a_body(("data", "unnamed.bin", view)))


def test_a_bytearray_is_free_again_when_the_body_is_closed() -> None:
    data = bytearray(b"chunk")
    body = MultipartBody([("data", "unnamed.bin", BytesSource(data))])
    with pytest.raises(BufferError):
        data.append(1)
    body.close()
    data.append(1)


def a_file(path: Path, content: bytes = b"0123456789", **options: Any) -> tuple[Path, FileSource]:
    path = path / "shot.hip"
    path.write_bytes(content)
    return path, sidefx.File(path, **options).source()


def test_a_rewound_body_is_the_same_byte_for_byte(tmp_path: Path) -> None:
    _, source = a_file(tmp_path)
    body = MultipartBody([("json", None, BytesSource(b"[]")), ("scene", "shot.hip", source)])
    first = all_of(body, 7)
    assert b"0123456789" in first
    assert body.rewind()
    assert all_of(body) == first
    body.close()


def test_a_file_that_changed_meanwhile_is_not_sent_again(tmp_path: Path) -> None:
    path, source = a_file(tmp_path)
    assert source.rewind()
    source.read(5)
    path.write_bytes(b"9876543210!")
    assert not source.rewind()
    source.close()


def test_a_stream_is_sent_once() -> None:
    source = FileSource(io.BytesIO(b"content"), None, 7, None, owned=False)
    assert source.rewind()  # nothing was read yet
    source.read(100)
    assert not source.rewind()


def test_a_file_that_grows_is_clipped_with_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, source = a_file(tmp_path)
    with path.open("ab") as file:
        file.write(b"surplus")
    assert b"".join(iter(lambda: source.read(4), b"")) == b"0123456789"
    source.close()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "only the announced 10 bytes" in caplog.text


def test_a_file_that_shrinks_is_an_error_that_nothing_can_heal(tmp_path: Path) -> None:
    path, source = a_file(tmp_path)
    path.write_bytes(b"0123")
    assert source.read(100) == b"0123"
    with pytest.raises(SourceError) as caught:
        source.read(100)
    source.close()
    error = caught.value.error
    assert isinstance(error, sidefx.TransportError)
    assert "ended 6 bytes before its announced 10" in str(error)
    assert (error.may_have_executed, error.lasting) == (False, True)


def test_an_object_that_gives_more_than_it_was_asked_for_is_clipped() -> None:
    class Generous(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return b"0123456789"

    source = FileSource(Generous(), None, 4, None, owned=False)
    assert (source.read(2), source.read(100), source.read(100)) == (b"01", b"01", b"")


def test_what_a_file_raises_is_carried_past_urllib3_as_it_is() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise error

    error = ConnectionResetError("a file on a network")
    with pytest.raises(SourceError) as caught:
        FileSource(Broken(), 0, 10, None, owned=False).read(5)
    assert caught.value.error is error


def test_progress_starts_at_zero_ends_at_the_size_and_starts_again(tmp_path: Path) -> None:
    steps: list[tuple[int, int | None]] = []
    _, source = a_file(tmp_path, progress=lambda done, total: steps.append((done, total)))
    for _ in range(2):
        assert source.rewind()
        while source.read(1):
            pass
    source.close()
    assert steps == [(0, 10), (10, 10)] * 2
