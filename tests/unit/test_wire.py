"""Tests of wire: encoding of arguments and decoding of responses. For errors and content types see U6 and H8 to H11."""

from __future__ import annotations

import gc
import io
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests
from support.responses import received, sample
from support.scripted import http_response

import sidefx_client as sidefx
from sidefx_client.transport.multipart import MultipartBody
from sidefx_client.wire import MAX_ERROR_TEXT, decode, encoded, error_message

JSON = {"Content-Type": "application/json"}


def form(name: str, args: Any, kwargs: Any) -> Any:
    """Return the call that a server decodes."""
    with encoded(name, args, kwargs) as body:
        assert isinstance(body, bytes)
    fields = parse_qs(body.decode("ascii"), strict_parsing=True)
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
    with encoded("hpack.upload_chunk", [1], {"data": value, "last": True}) as body:
        assert isinstance(body, MultipartBody)
        media, _, boundary = body.content_type.partition("; boundary=")
        assert media == "multipart/form-data"
        sent = b"".join(body)
    assert len(sent) == len(body)
    _, call, data, end = sent.split(f"--{boundary}".encode())
    assert call.endswith(b'\r\n\r\n["hpack.upload_chunk", [1], {"last": true}]\r\n')
    assert data.startswith(b'\r\nContent-Disposition: form-data; name="data"; filename="unnamed.bin"\r\n')
    assert data.endswith(b"\r\n\r\nbytes\r\n")
    assert end == b"--\r\n"


def test_same_object_in_two_places_is_not_a_cycle() -> None:
    shared = {"a": 1}
    assert form("a.b", [shared, shared], {"c": shared}) == ["a.b", [shared, shared], {"c": shared}]


def test_unreadable_file_closes_the_other_files(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"content")
    uploads = {"a": sidefx.File(tmp_path / "there"), "b": sidefx.File(tmp_path / "not there")}
    with pytest.raises(FileNotFoundError), encoded("a.b", [], uploads):
        pass
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


# Errors


def api_error(response: requests.Response) -> sidefx.APIError:
    with pytest.raises(sidefx.APIError) as caught:
        decode(response)
    return caught.value


@pytest.mark.parametrize("status", [100, 300, 304, 400, 404, 422, 500])
def test_other_statuses_than_2xx_raise_api_error(status: int) -> None:
    response = received(http_response(200, b"[1]"))
    response.status_code = status
    assert str(api_error(response)) == f"{status} [1]"


def test_errors_of_the_api_are_decoded_from_samples() -> None:
    error = api_error(sample("message.http"))
    assert (type(error), error.http_code) == (sidefx.APIError, 422)
    assert str(error) == "422 There is no build 1 of houdini 20.5 for linux."
    error = api_error(sample("rate_limit.http"))
    assert (type(error), error.http_code, error.retry_after) == (sidefx.RateLimitError, 429, 7.0)
    assert error.message == "Too many requests, try again later."
    error = api_error(sample("redirect.http"))
    assert error.http_code == 302
    assert "redirects to https://login.sidefx.com, which is not followed" in error.message
    assert "5ec4e7" not in error.message


@pytest.mark.parametrize("target", ["/x", "//www.sidefx.com/x"])
def test_relative_redirect_names_the_host(target: str) -> None:
    error = api_error(received(http_response(307, headers={"Location": target})))
    assert "redirects to https://www.sidefx.com," in error.message


OLD = """\
Traceback:
File "/srv/django/core/handlers/base.py" in get_response
  132.                     response = wrapped_callback(request, *callback_args, **callback_kwargs)
File "/srv/www/api/download.py" in get_daily_builds_list
  31.     first = builds["<newest>"]

Exception Type: KeyError at /api/
Exception Value: '<newest>'"""
NEW = """\
Traceback (most recent call last):
  File "/srv/www/api/download.py", line 30, in get_daily_builds_list
    first = cache["<newest>"]
            ^^^^^^^^^^^^^^^^^

During handling of the above exception ('<newest>'), another exception occurred:
  File "/srv/django/core/handlers/exception.py", line 55, in inner
    response = get_response(request)
  File "/srv/www/api/download.py", line 31, in get_daily_builds_list
    first = builds["<newest>"]

Exception Type: KeyError at /api/
Exception Value: '<newest>'"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_tracebacks_of_debug_pages_and_of_production(newline: str) -> None:
    assert str(api_error(sample("debug_page_old.http", newline))) == f"500 {OLD}"
    assert str(api_error(sample("debug_page.http", newline))) == f"500 {NEW}"
    lines = api_error(sample("stack_trace.http", newline)).message.splitlines()
    assert (lines[0], lines[-1], len(lines)) == ("Traceback (most recent call last):", "KeyError: '<newest>'", 6)


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize(
    ("status", "text", "shown"),
    [
        (500, "<textarea>\nTraceback:\nx\n</textarea>", "Traceback:\nx"),
        (502, "<textarea>\nTraceback:\nx\n</textarea>", ...),
        (500, "Traceback:\n&amp;lt;b&amp;gt;\n</textarea>", "Traceback:\n&lt;b&gt;"),
        (500, "Traceback:\nx", ...),
        (500, "</textarea>\nTraceback:\nx", ...),
        (500, "the Traceback:\nx\n</textarea>", ...),
        (500, "", ...),
        (403, '{"error": "invalid_client"}', "invalid_client"),
        (403, '{"error": "invalid_client", "error_description": "no such id"}', "invalid_client: no such id"),
        (403, '{"error": {"code": 5}}', ...),
        (403, '{"error": "no", "detail": "no such id"}', ...),
        (403, '["error"]', ...),
        (403, "[" * 60_000, ...),
    ],
)
def test_part_of_an_error_body_that_is_shown(status: int, text: str, shown: Any) -> None:
    assert error_message(status, text) == (text if shown is ... else shown)


def test_long_traceback_keeps_its_end() -> None:
    message = error_message(500, f"Traceback:\n{'  filler “&lt;”' * 10_000}\nKeyError: 1\n</textarea>")
    assert message.endswith("”\nKeyError: 1")
    assert 8180 < len(message.encode()) <= 8192


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (http_response(503, b" \r\n\t "), "Service Unavailable (the server sent no message)"),
        (b"HTTP/1.1 599\r\n\r\n", "an error (the server sent no message)"),
        (http_response(422, "\ufeffZoë™".encode(), {"Content-Type": "text/plain"}), "Zoë™"),
        (http_response(422, "Zoë™".encode("cp1252"), {"Content-Type": "text/plain; charset=cp1252"}), "Zoë™"),
        (http_response(422, b"\xff!"), "\ufffd!"),
        (http_response(422, b"half a mess", {"Content-Length": "100"}), "half a mess"),
        (http_response(422, b"xx", {"Content-Length": "none"}), "Unprocessable Entity (the server sent no message)"),
        (http_response(500, b"x" * (1 << 20)), "x" * MAX_ERROR_TEXT),
    ],
)
def test_message_of_an_error_body(response: bytes, message: str) -> None:
    made = received(response)
    assert api_error(made).message == message
    assert made.raw.closed
