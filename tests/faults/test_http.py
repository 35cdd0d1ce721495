"""H: responses that are errors, redirects, truncated or too large."""

from __future__ import annotations

import contextlib
import email.utils
import gzip
import html
import json
import math
import re
import struct
import time
import urllib.parse
import zlib

import pytest
from support.case import ATTEMPTS, BASIC, CLIENT_SECRET, PEAK_MEMORY, SIGNATURE, TOKEN, Case, check_error, check_object
from support.scripted import Connection, Request, Step, http_response, json_response, send_and_close, token_response
from support.systems import needs_proc

import sidefx_client as sidefx

OK = json_response("done")
HTML_TYPE = {"Content-Type": "text/html"}
JSON_TYPE = {"Content-Type": "application/json"}


def busy(retry_after: str | None = None) -> bytes:
    return http_response(429, "slow down", None if retry_after is None else {"Retry-After": retry_after})


def busy_until_a_date(skew: int | None = None) -> Step:
    """Return a step that sends a date in a second by a clock with this skew, which is sent too."""

    def step(connection: Connection, request: Request) -> None:
        connection.read_body(request)
        now = math.ceil(time.time()) + (skew or 0)  # dates have whole seconds
        dates = {"Retry-After": email.utils.formatdate(now + 1, usegmt=True)}
        if skew is not None:
            dates["Date"] = email.utils.formatdate(now, usegmt=True)
        connection.send(http_response(429, "slow down", dates))

    return step


@pytest.mark.parametrize("told", [busy("1"), busy_until_a_date()], ids=["seconds", "date"])
def test_H1_429_is_retried_after_the_time_in_retry_after(case: Case, told: Step) -> None:
    server, service = case.serve([told, told, OK])
    assert service.bugs.submit_issue(summary="x") == "done"
    first, second, third = server.requests
    assert min(second.time - first.time, third.time - second.time) >= 1
    assert len({(request.body, tuple(request.headers)) for request in server.requests}) == 1


@pytest.mark.parametrize(("header", "seconds"), [("0", 0), ("Sun, 06 Nov 1994 08:49:37 GMT", 0), (None, None)])
def test_H2_permanent_429_raises_rate_limit_error(
    case: Case, tls: str | None, header: str | None, seconds: float | None
) -> None:
    error, server = case.failure(busy(header), sidefx.RateLimitError, tls=tls)
    assert isinstance(error, sidefx.APIError)
    assert (error.http_code, error.message, error.retry_after) == (429, "slow down", seconds)
    assert len(server.requests) == ATTEMPTS


@pytest.mark.parametrize("header", ["86400", "Thu, 01 Jan 2099 00:00:00 GMT"])
def test_H3_long_retry_after_raises_at_once(case: Case, header: str) -> None:
    start = time.monotonic()
    error, _ = case.failure([busy(header)], sidefx.RateLimitError, function="things.get_all")
    assert time.monotonic() - start < 5
    assert (error.retry_after or 0) >= 86400


@pytest.mark.parametrize("header", ["soon", "-5", "1,5", "", "9" * 30, "Thu, 99 Foo 2099 99:00:00 GMT"])
def test_H4_invalid_retry_after_uses_our_own_backoff(case: Case, header: str) -> None:
    start = time.monotonic()
    _, server = case.failure(busy(header), sidefx.RateLimitError)
    assert time.monotonic() - start < 3
    assert len(server.requests) == ATTEMPTS


@pytest.mark.parametrize("status", [502, 503, 504])
@pytest.mark.parametrize(("function", "sendings"), [("bugs.submit_issue", 1), ("things.get_all", ATTEMPTS)])
def test_H5_gateway_errors_are_retried_for_read_only_functions_only(
    case: Case, status: int, function: str, sendings: int
) -> None:
    sent = http_response(status, "no backend", {"Retry-After": "1"} if sendings == 1 else None)
    _, server = case.failure(sent, sidefx.APIError, f"^{status} no backend$", function=function)
    assert len(server.requests) == sendings


TRACE = (
    "Traceback (most recent call last):\n" + '  File "/srv/app.py", line 1, in view\n' * 100 + "KeyError: '<a> & more'"
)
PAGE = f"<html>DEBUG <textarea>\nEnvironment:\n\n{html.escape(TRACE)}\n</textarea>\nDEBUG</html>"


@pytest.mark.parametrize(("body", "media"), [(TRACE, "text/plain"), (PAGE, "text/html")], ids=["production", "debug"])
def test_H6_stack_trace_is_the_message(case: Case, tls: str | None, body: str, media: str) -> None:
    error, _ = case.failure([http_response(500, body, {"Content-Type": media})], sidefx.APIError, tls=tls)
    assert (error.http_code, error.message.strip()) == (500, TRACE)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("function", ["bugs.submit_issue", "things.get_all"])
def test_H7_redirect_raises_with_its_target_and_is_not_followed(
    case: Case, tls: str | None, status: int, function: str
) -> None:
    other = case.server()
    target = f"http://localhost:{other.port}"
    moved = http_response(status, "moved", {"Location": f"{target}/signed?{SIGNATURE}"})
    error, _ = case.failure([moved], sidefx.APIError, target, tls=tls, function=function)
    assert error.http_code == status
    assert other.connections == 0


def test_H8_login_page_raises_with_an_excerpt(case: Case, tls: str | None) -> None:
    page = "<html>Please sign in" + "x" * 1000
    error, _ = case.failure([http_response(200, page, HTML_TYPE)], sidefx.APIError, tls=tls)
    assert error.message == "expected JSON, got text/html: " + page[:200]


VALUE = {"name": "Zoë", "list": [1, None, True]}
TEXT = json.dumps(VALUE, ensure_ascii=False).encode()


STREAM_TYPE = {"Content-Type": "application/octet-stream"}
VALUES = {
    "charset": (http_response(200, TEXT, {"Content-Type": "Application/JSON; charset=utf-8"}), VALUE),
    "latin-1": (http_response(200, TEXT.decode().encode("latin-1"), {"Content-Type": "a/x+json; charset=L1"}), VALUE),
    "shift_jis": (
        http_response(200, '"名前"'.encode("shift_jis"), {"Content-Type": "a/json; charset=shift_jis"}),
        "名前",
    ),
    "+json": (http_response(200, TEXT, {"Content-Type": "application/vnd.sidefx+json"}), VALUE),
    "BOM": (http_response(200, b"\xef\xbb\xbf" + TEXT, JSON_TYPE), VALUE),
    "no type": (http_response(200, TEXT), VALUE),
    "201": (http_response(201, TEXT, JSON_TYPE), VALUE),
    "204": (http_response(204, framed=False), None),
    "204 stream": (http_response(204, headers=STREAM_TYPE, framed=False), None),
    "empty": (http_response(200), None),
    "empty HTML": (http_response(200, b"", HTML_TYPE), None),
}


@pytest.mark.parametrize(("sent", "value"), VALUES.values(), ids=VALUES)
def test_H9_json_is_decoded_with_any_content_type_and_an_empty_body_is_none(
    case: Case, tls: str | None, sent: bytes, value: object
) -> None:
    server, service = case.serve([sent, OK], tls=tls)
    assert [service.bugs.submit_issue(summary="x") for _ in range(2)] == [value, "done"]
    assert server.connections == 1


@pytest.mark.parametrize(
    "media", ["application/octet-stream", "Application/Octet-Stream; x=y", "application/octet-stream;"]
)
def test_H9_octet_stream_is_a_response_file(case: Case, tls: str | None, media: str) -> None:
    _, service = case.serve([http_response(200, b"\0bytes", {"Content-Type": media})], tls=tls)
    with service.things.stream() as file:
        assert isinstance(file, sidefx.ResponseFile)
        check_object(file)
        assert file.read() == b"\0bytes"


WHOLE = gzip.compress(json.dumps(list(range(1000))).encode())
CODED = {**JSON_TYPE, "Content-Encoding": "gzip"}
CHUNKED = {**JSON_TYPE, "Transfer-Encoding": "chunked"}


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


TRUNCATED = {
    "Content-Length 100": http_response(200, b"[1,2]", {**JSON_TYPE, "Content-Length": "100"}),
    "no last chunk": http_response(200, chunk(b"[1,2]"), CHUNKED),
    "inside a chunk": http_response(200, b"100\r\n[1,2]", CHUNKED),
    "gzip cut": http_response(200, WHOLE[:-100], CODED),
    "gzip with another checksum": http_response(200, WHOLE[:-8] + bytes(8), CODED),
    "gzip without its length": http_response(200, WHOLE[:-4], CODED),
    "gzip cut in chunks": http_response(200, chunk(WHOLE[:-100]) + b"0\r\n\r\n", {**CHUNKED, **CODED}),
}


@pytest.mark.parametrize("sent", TRUNCATED.values(), ids=TRUNCATED)
def test_H10_truncated_body_raises_or_is_retried_if_read_only(case: Case, tls: str | None, sent: bytes) -> None:
    error, _ = case.failure([send_and_close(sent)], sidefx.TransportError, tls=tls)
    assert error.may_have_executed
    _, service = case.serve([send_and_close(sent), OK], tls=tls)
    assert service.things.get_all() == "done"


def test_H10_truncated_stream_raises_transport_error(case: Case, tls: str | None) -> None:
    stream = http_response(200, b"12345", {**STREAM_TYPE, "Content-Length": "100"})
    _, service = case.serve([send_and_close(stream)], tls=tls)
    with service.things.stream() as file:
        for _ in range(2):
            with case.raises(sidefx.TransportError):
                file.read()


MIB = 1 << 20


def bomb() -> bytes:
    """Return 0.5 MiB of gzip that decompress to 512 MiB."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = compressor.compress(b"1" * MIB) + compressor.flush(zlib.Z_FULL_FLUSH)  # after it the block can be repeated
    head = struct.pack("<BBBBIBB", 0x1F, 0x8B, 8, 0, 0, 0, 255)
    return head + block * 512


BOMBED = f"""
import sys
{PEAK_MEMORY}
import sidefx_client as sidefx
service = sidefx.service(access_token="", endpoint_url=sys.argv[1])
before = peak_memory()
try:
    service.bugs.submit_issue()
except sidefx.SideFXError as error:
    print(type(error).__name__, len(str(error)), peak_memory() - before)
"""


@needs_proc
@pytest.mark.parametrize(
    ("status", "coding", "kind", "limit"),
    [
        (200, "gzip", "APIError", 600),  # MiB: the limit of 256 MiB, and its blocks while they are joined
        (500, "gzip", "APIError", 20),
        (200, "gzip, gzip", "", 20),
        (500, "gzip, gzip", "APIError", 20),
    ],
)
def test_H11_decompressed_size_is_limited(case: Case, status: int, coding: str, kind: str, limit: int) -> None:
    body = bomb()
    assert len(body) < 0.6 * MIB
    if "," in coding:
        body = gzip.compress(body)
    sent = http_response(status, body, {**JSON_TYPE, "Content-Encoding": coding})
    server = case.server(sent)
    done = case.python(BOMBED, server.api_url)
    assert done.stderr == ""
    name, length, growth = done.stdout.split()
    assert name == (kind or name)
    assert int(length) <= 64 * 1024 + 100
    assert float(growth) < limit


def test_H11_endless_error_body_is_read_up_to_64_KiB(case: Case, tls: str | None) -> None:
    sent = 0

    def without_end(connection: Connection, request: Request) -> None:
        nonlocal sent
        connection.read_body(request)
        connection.send(http_response(500, b"", {"Transfer-Encoding": "chunked"}))
        while sent < 100 * MIB:  # the client's close ends the loop with an OSError
            connection.send(chunk(b"x" * 65536))
            sent += 65536

    error, _ = case.failure([without_end], sidefx.APIError, tls=tls)
    assert len(error.message) <= 64 * 1024
    assert sent < 50 * MIB


@pytest.mark.parametrize("skew", [-3000, 3000])
def test_H15_retry_after_date_is_relative_to_the_servers_clock(case: Case, skew: int) -> None:
    server, service = case.serve([busy_until_a_date(skew), OK])
    assert service.bugs.submit_issue(summary="x") == "done"
    assert 1 <= server.requests[1].time - server.requests[0].time < 60


@pytest.mark.parametrize(("retry_after", "sendings"), [("1", 2), ("86400", 1)])
def test_H15_retry_after_of_a_503_is_honored_for_read_only_functions(
    case: Case, retry_after: str, sendings: int
) -> None:
    server, service = case.serve([http_response(503, "busy", {"Retry-After": retry_after}), OK])
    with contextlib.suppress(sidefx.APIError):
        assert service.things.get_all() == "done"
    assert len(server.requests) == sendings
    assert sendings == 1 or server.requests[1].time - server.requests[0].time >= 1


ECHOED = f"{TOKEN} {CLIENT_SECRET} {BASIC} https://files.invalid/x?{SIGNATURE}"
ECHOES = {
    "body": http_response(422, ECHOED),
    "other case": http_response(422, ECHOED.upper()),
    "URL-escaped": http_response(422, urllib.parse.quote(BASIC, safe="")),
    "JSON": http_response(200, f'{{"{ECHOED}"', JSON_TYPE),
    "after blanks": http_response(200, " " * 7990 + ECHOED),
    "Content-Type": http_response(200, "x", {"Content-Type": f"text/{TOKEN}"}),
    "Content-Encoding": http_response(200, "x", {**JSON_TYPE, "Content-Encoding": f"br, {TOKEN}"}),
    "Location": http_response(302, headers={"Location": f"https://{TOKEN}.invalid/?{SIGNATURE}"}),
    "reason phrase": f"HTTP/1.1 422 {ECHOED}\r\nContent-Length: 0\r\n\r\n".encode(),
}


@pytest.mark.parametrize("sent", ECHOES.values(), ids=ECHOES)
def test_H16_echoed_secrets_are_redacted(case: Case, sent: bytes) -> None:
    server = case.server([sent], tokens=[token_response(TOKEN)])
    with pytest.raises((sidefx.APIError, sidefx.TransportError)) as caught:
        case.cold(server).bugs.submit_issue(summary="x")
    check_error(caught.value)
    shown = str(caught.value).lower()
    assert "<redacted>" in shown
    for secret in (TOKEN, CLIENT_SECRET, BASIC, SIGNATURE, urllib.parse.quote(BASIC, safe="")):
        assert secret.lower() not in shown


@pytest.mark.parametrize("header", [{"Content-Length": TOKEN}, {"Content-Encoding": "gzip"}], ids=str)
def test_H16_echoed_secrets_are_not_in_the_frames_of_an_unreadable_response(case: Case, header: dict[str, str]) -> None:
    case.failure([http_response(200, ECHOED, {**JSON_TYPE, **header})], sidefx.TransportError)


def test_H16_control_characters_of_a_server_or_a_name_are_escaped(case: Case, caplog: pytest.LogCaptureFixture) -> None:
    text = "\x1b]0;title\x07 \u202e\r\nsecond line"
    _, service = case.serve([http_response(429, text, {"Retry-After": "0"}), http_response(422, text)])
    with case.raises(sidefx.APIError) as caught:
        sidefx.call(service, "a.b\nWARNING forged")
    assert re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", str(caught.value)) is None
    assert caught.value.message.endswith("\nsecond line")
    assert len(caplog.records) == 3  # two requests and a retry
    assert all(record.getMessage().isprintable() for record in caplog.records)


def test_H17_json_error_body_is_shown_as_its_text(case: Case) -> None:
    case.failure([json_response({"error": "no such build"}, 422)], sidefx.APIError, "^422 no such build$")


def test_H18_raw_utf_8_file_name_is_decoded(case: Case) -> None:
    head = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 1\r\n"
    sent = f'{head}Content-Disposition: attachment; filename="Zoë 雪.hip"\r\n\r\nx'.encode()
    server = case.server([sent])
    with case.service(server).things.stream() as file:
        assert file.name == "Zoë 雪.hip"
