"""A call as the API spells it: encoded from arguments, decoded from sample answers; no sockets here."""

from __future__ import annotations

import gc
import gzip
import io
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from support.responses import received, sample
from support.scripted import answer, json_answer

import sidefx_client as sidefx
from sidefx_client import wire
from sidefx_client.transport.multipart import MultipartBody
from sidefx_client.wire import Encoded, decode

JSON = {"Content-Type": "application/json"}


def form(name: str, args: Any, kwargs: Any) -> Any:
    """What a server makes of the call."""
    encoded = Encoded(name, args, kwargs)
    assert encoded.content_type == "application/x-www-form-urlencoded"
    assert isinstance(encoded.body, bytes)
    assert encoded.length == len(encoded.body)
    fields = parse_qs(encoded.body.decode("ascii"), strict_parsing=True)
    assert list(fields) == ["json"]
    return json.loads(fields["json"][0])


# Encoding


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ([], {}),
        (["houdini", 20.5, None, True], {"version": ["20.0", "20.5"]}),
        (["Zoë & 雪 = 100% + \r\n\0"], {"schlüssel": {"a": [1, {"b": []}]}}),
        ([], {"self": 1, "timeout": 2, "name": 3, "args": 4, "kwargs": 5, "json": 6, "function_name": 7}),
    ],
)
def test_a_call_is_one_form_field_with_name_arguments_and_keywords(args: list[Any], kwargs: dict[str, Any]) -> None:
    assert form("module.function", args, kwargs) == ["module.function", args, kwargs]


def test_tuples_are_lists_and_keys_are_text() -> None:
    assert form("a.b", (1, (2,)), {"k": {1: "x", None: "y"}}) == ["a.b", [1, [2]], {"k": {"1": "x", "null": "y"}}]


@pytest.mark.parametrize(
    "value", [b"bytes", bytearray(b"bytes"), memoryview(b"bytes"), sidefx.File(io.BytesIO(b"bytes"))]
)
def test_files_and_bytes_by_keyword_are_parts_beside_the_call(value: Any) -> None:
    with Encoded("hpack.upload_chunk", [1], {"data": value, "last": True}) as encoded:
        assert isinstance(encoded.body, MultipartBody)
        assert encoded.length == len(encoded.body)
        assert encoded.content_type.startswith("multipart/form-data; boundary=")
        body = b"".join(bytes(block) for block in iter(lambda: encoded.body.read(99), b""))  # type: ignore[union-attr]
    _, call, data, end = body.split(b"--" + encoded.content_type.partition("=")[2].encode())
    assert call.endswith(b'\r\n\r\n["hpack.upload_chunk", [1], {"last": true}]\r\n')
    assert data.startswith(b'\r\nContent-Disposition: form-data; name="data"; filename="unnamed.bin"\r\n')
    assert data.endswith(b"\r\n\r\nbytes\r\n")
    assert end == b"--\r\n"


CYCLE: list[Any] = [1]
CYCLE.append(CYCLE)
DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]
FILE = sidefx.File("/nowhere")  # to open it would be an OSError


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize(
    ("args", "kwargs", "kind", "words"),
    [
        ([FILE], {}, TypeError, "args[0]: File cannot go there"),
        ([1, b"x"], {}, TypeError, "args[1]: bytes cannot go there"),
        ([], {"f": [FILE]}, TypeError, "kwargs['f'][0]: File cannot go there"),
        ([], {"f": {"a": [1, bytearray()]}}, TypeError, "kwargs['f']['a'][1]: bytearray cannot go there"),
        ([], {"good": FILE, "f": object()}, TypeError, "kwargs['f']: JSON cannot hold a object"),
        ([], {"json": FILE}, TypeError, "kwargs['json']: an upload cannot be named 'json'"),
        ([{1, 2}], {}, TypeError, "args[0]: JSON cannot hold a set"),
        ([Path("a")], {}, TypeError, "args[0]: JSON cannot hold a "),
        ([{(1, 2): 3}], {}, TypeError, "args[0]: JSON cannot have a tuple as a key"),
        ([float("nan")], {}, ValueError, "args[0]: JSON has no nan"),
        ([], {"f": [1.0, float("-inf")]}, ValueError, "kwargs['f'][1]: JSON has no -inf"),
        ([CYCLE], {}, ValueError, "args[0][1]: contains itself"),
        ([DEEP], {}, ValueError, "nested too deeply"),
    ],
)
def test_what_cannot_be_sent_is_named_by_its_place(
    args: list[Any], kwargs: dict[str, Any], kind: Any, words: str
) -> None:
    with pytest.raises(kind) as caught:
        Encoded("a.b", args, kwargs)
    assert words in str(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_one_object_in_two_places_is_no_cycle() -> None:
    shared = {"a": 1}
    assert form("a.b", [shared, shared], {"c": shared}) == ["a.b", [shared, shared], {"c": shared}]


def test_a_file_that_cannot_be_read_closes_those_that_could(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"content")
    with pytest.raises(FileNotFoundError):
        Encoded("a.b", [], {"a": sidefx.File(tmp_path / "there"), "b": sidefx.File(tmp_path / "not there")})
    gc.collect()  # a ResourceWarning where the first one is still open


# Decoding


def test_json_is_a_value() -> None:
    (build,) = decode(sample("value.http"))
    assert build["build"] == "382"
    assert build["third_party_libraries"] == {"note": "Zoë™ 雪"}


@pytest.mark.parametrize(
    "sent",
    [
        json_answer([1, "ë"], 201),
        json_answer([1, "ë"], headers={"Content-Type": "application/vnd.sidefx+json"}),
        answer(200, '[1, "ë"]'),
        answer(200, '[1, "ë"]', {"Content-Type": "application/json; charset=utf-8"}),
        answer(200, '\ufeff[1, "ë"]', JSON),
        answer(200, '[1, "ë"]'.encode("latin-1"), {"Content-Type": "application/json; charset=latin-1"}),
        answer(200, gzip.compress('[1, "ë"]'.encode()), {**JSON, "Content-Encoding": "gzip"}),
    ],
)
def test_json_is_a_value_however_it_is_labelled(sent: bytes) -> None:
    assert decode(received(sent)) == [1, "ë"]


@pytest.mark.parametrize(
    "sent",
    [
        answer(204, framed=False),
        answer(204, headers={"Content-Type": "application/octet-stream"}, framed=False),
        answer(200),
        answer(202, headers=JSON),
    ],
)
def test_an_empty_answer_is_none(sent: bytes) -> None:
    assert decode(received(sent)) is None


@pytest.mark.parametrize(
    "media", ["application/octet-stream", "Application/OCTET-Stream; x=y", "application/octet-stream;"]
)
def test_an_octet_stream_is_a_response_file(media: str) -> None:
    with decode(received(answer(200, b"[1]", {"Content-Type": media}))) as file:
        assert isinstance(file, sidefx.ResponseFile)
        assert file.read() == b"[1]"


def test_a_login_page_is_told_in_a_line() -> None:
    with pytest.raises(sidefx.APIError) as caught:
        decode(sample("login_page.http"))
    start = "200 expected JSON, got text/html: <!DOCTYPE html> <html> <head><title>Sign in | SideFX</title></head>"
    assert str(caught.value).startswith(start)
    assert len(caught.value.message) == len("expected JSON, got text/html: ") + 200


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("body", [b"nonsense", b'{"a": 1', b'"\xff"', b"[" * 100_000, b"\x00"])
def test_what_is_no_json_is_an_api_error(body: bytes) -> None:
    with pytest.raises(sidefx.APIError, match=r"^200 expected JSON, got application/json: ") as caught:
        decode(received(answer(200, body, JSON)))
    assert len(str(caught.value)) < 250


def test_cut_json_is_a_transport_error_and_never_a_value() -> None:
    with pytest.raises(sidefx.TransportError) as caught:
        decode(received(answer(200, b"[1,2]", {**JSON, "Content-Length": "100"})))
    assert caught.value.may_have_executed


def test_more_json_than_memory_should_hold_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "JSON_LIMIT", 1 << 20)
    response = received(json_answer("x" * (9 << 20)))
    with pytest.raises(sidefx.APIError, match="more than 1 MiB of JSON"):
        decode(response)
    assert response.raw.closed
    assert response.raw.tell() < 2 << 20  # bytes that were read at all


@pytest.mark.parametrize("status", [100, 300, 304, 400, 404, 422, 500])
def test_any_status_but_2xx_is_an_api_error(status: int) -> None:
    response = received(answer(200, b"[1]"))
    response.status_code = status
    with pytest.raises(sidefx.APIError, match=rf"^{status} \[1\]$"):
        decode(response)


@pytest.mark.parametrize("value", [Path("shot.hip"), io.BytesIO(b"hip")])
def test_who_passes_a_path_or_an_open_file_is_told_of_file(value: Any) -> None:
    with pytest.raises(TypeError, match=r"kwargs\['scene'\]: .*pass File\(\.\.\.\)"):
        Encoded("scenes.upload", [], {"scene": value})
