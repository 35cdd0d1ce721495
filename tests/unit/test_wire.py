"""Tests of wire: encoding of arguments and decoding of responses. For errors and content types see U6 and H8 to H11."""

from __future__ import annotations

import gc
import io
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from support.responses import received, sample
from support.scripted import http_response

import sidefx_client as sidefx
from sidefx_client.transport.multipart import MultipartBody
from sidefx_client.wire import EncodedCall, decode

JSON = {"Content-Type": "application/json"}


def form(name: str, args: Any, kwargs: Any) -> Any:
    """Return the call that a server decodes."""
    encoded = EncodedCall(name, args, kwargs)
    assert encoded.content_type == "application/x-www-form-urlencoded"
    assert isinstance(encoded.body, bytes)
    assert encoded.length == len(encoded.body)
    fields = parse_qs(encoded.body.decode("ascii"), strict_parsing=True)
    assert list(fields) == ["json"]
    return json.loads(fields["json"][0])


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ([], {}),
        (["houdini", 20.5, None, True], {"version": ["20.0", "20.5"]}),
        (["Zoë & 雪 = 100% + \r\n\0"], {"schlüssel": {"a": [1, {"b": []}]}}),
        ([], {"self": 1, "timeout": 2, "name": 3, "args": 4, "kwargs": 5, "json": 6, "function_name": 7}),
    ],
)
def test_call_is_encoded_as_one_form_field(args: list[Any], kwargs: dict[str, Any]) -> None:
    assert form("module.function", args, kwargs) == ["module.function", args, kwargs]


def test_tuples_become_lists_and_keys_become_text() -> None:
    assert form("a.b", (1, (2,)), {"k": {1: "x", None: "y"}}) == ["a.b", [1, [2]], {"k": {"1": "x", "null": "y"}}]


@pytest.mark.parametrize(
    "value", [b"bytes", bytearray(b"bytes"), memoryview(b"bytes"), sidefx.File(io.BytesIO(b"bytes"))]
)
def test_files_and_bytes_become_multipart_parts(value: Any) -> None:
    with EncodedCall("hpack.upload_chunk", [1], {"data": value, "last": True}) as encoded:
        assert isinstance(encoded.body, MultipartBody)
        assert encoded.length == len(encoded.body)
        assert encoded.content_type.startswith("multipart/form-data; boundary=")
        body = b"".join(bytes(block) for block in iter(lambda: encoded.body.read(99), b""))  # type: ignore[union-attr]
    _, call, data, end = body.split(b"--" + encoded.content_type.partition("=")[2].encode())
    assert call.endswith(b'\r\n\r\n["hpack.upload_chunk", [1], {"last": true}]\r\n')
    assert data.startswith(b'\r\nContent-Disposition: form-data; name="data"; filename="unnamed.bin"\r\n')
    assert data.endswith(b"\r\n\r\nbytes\r\n")
    assert end == b"--\r\n"


def test_same_object_in_two_places_is_not_a_cycle() -> None:
    shared = {"a": 1}
    assert form("a.b", [shared, shared], {"c": shared}) == ["a.b", [shared, shared], {"c": shared}]


def test_unreadable_file_closes_the_other_files(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"content")
    with pytest.raises(FileNotFoundError):
        EncodedCall("a.b", [], {"a": sidefx.File(tmp_path / "there"), "b": sidefx.File(tmp_path / "not there")})
    gc.collect()  # warns if the first file is still open


def test_json_sample_is_decoded() -> None:
    (build,) = decode(sample("value.http"))
    assert build["build"] == "382"
    assert build["third_party_libraries"] == {"note": "Zoë™ 雪"}


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("body", [b"nonsense", b'{"a": 1', b"[" * 100_000, b"\x00"])
def test_invalid_json_raises_api_error(body: bytes) -> None:
    with pytest.raises(sidefx.APIError, match=r"^200 expected JSON, got application/json: ") as caught:
        decode(received(http_response(200, body, JSON)))
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("status", [100, 300, 304, 400, 404, 422, 500])
def test_other_statuses_than_2xx_raise_api_error(status: int) -> None:
    response = received(http_response(200, b"[1]"))
    response.status_code = status
    with pytest.raises(sidefx.APIError, match=rf"^{status} \[1\]$"):
        decode(response)
