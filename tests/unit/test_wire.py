"""Tests of wire: decoding of responses and of errors. For arguments see U6, for content types H8 to H11."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from support.responses import received
from support.scripted import http_response

import sidefx_client as sidefx
from sidefx_client.wire import MAX_ERROR_TEXT, decode, error_message

EULA = "https://www.sidefx.com/services/eula/"


def api_error(response: requests.Response) -> sidefx.APIError:
    with pytest.raises(sidefx.APIError) as caught:
        decode(response)
    return caught.value


@pytest.mark.parametrize("target", ["/x", "//www.sidefx.com/x"])
def test_relative_redirect_names_the_host(target: str) -> None:
    error = api_error(received(http_response(307, headers={"Location": target})))
    assert "redirects to https://www.sidefx.com," in error.message


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize(
    ("status", "text", "shown"),
    [
        (500, "<textarea>\nTraceback:\nx\n</textarea>", "Traceback:\nx"),
        (502, "<textarea>\nTraceback:\nx\n</textarea>", ...),
        (500, "Traceback:\n&amp;lt;b&amp;gt;\n</textarea>", "Traceback:\n&lt;b&gt;"),
        (500, "x\r\nTraceback:\r\na\r\nb\r\n</textarea>\r\n", "Traceback:\na\nb"),
        (500, "  Traceback: \nx\n  </textarea> ", "  Traceback: \nx"),
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
        (http_response(403, "EULA not accepted"), f"EULA not accepted (log in and accept it at {EULA})"),
        (http_response(422, b"\xff!"), "\ufffd!"),
        (http_response(422, b"half a mess", {"Content-Length": "100"}), "half a mess"),
        (http_response(400, b"xx", {"Content-Length": "none"}), "Bad Request (the server sent no message)"),
        (http_response(500, b"x" * (1 << 20)), "x" * MAX_ERROR_TEXT),
    ],
)
def test_error_has_the_message_of_its_body(response: bytes, message: str) -> None:
    made = received(response)
    assert api_error(made).message == message
    assert made.raw.closed
