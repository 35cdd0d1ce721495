"""Tests of error responses: messages, tracebacks, redirects and JSON errors. See also H6 and H7."""

from __future__ import annotations

import html

import pytest
from support.responses import received, sample
from support.scripted import http_response

import sidefx_client as sidefx
from sidefx_client.error_body import MAX_ERROR_TEXT, api_error, error_message, oauth_error

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
both_line_ends = pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["LF", "CRLF"])


@both_line_ends
@pytest.mark.parametrize(("page", "traceback"), [("debug_page_old.http", OLD), ("debug_page.http", NEW)])
def test_debug_page_message_is_the_unescaped_traceback(page: str, traceback: str, newline: str) -> None:
    error = api_error(sample(page, newline))
    assert error.message == traceback
    assert str(error) == f"500 {traceback}"


@both_line_ends
def test_production_stack_trace_is_the_message(newline: str) -> None:
    error = api_error(sample("stack_trace.http", newline))
    assert error.message.splitlines()[0] == "Traceback (most recent call last):"
    assert error.message.splitlines()[-1] == "KeyError: '<newest>'"
    assert len(error.message.splitlines()) == 6


def test_traceback_page_of_another_status_is_unchanged() -> None:
    page = "<textarea>\nTraceback:\nx\n</textarea>"
    assert error_message(502, page) == page
    assert error_message(500, page) == "Traceback:\nx"


@pytest.mark.parametrize("page", ["Traceback:\nx", "</textarea>\nTraceback:\nx", "the Traceback:\nx\n</textarea>", ""])
def test_page_without_a_traceback_is_unchanged(page: str) -> None:
    assert error_message(500, page) == page


def test_long_traceback_keeps_its_end() -> None:
    page = f"Traceback:\n{'  filler “&lt;”' * 10_000}\nKeyError: 1\n</textarea>"
    message = error_message(500, page)
    assert message.startswith("…\n")
    assert message.endswith("”\nKeyError: 1")
    assert 8180 < len(message.encode()) <= 8192


def test_text_body_is_the_message() -> None:
    error = api_error(sample("message.http"))
    assert (type(error), error.http_code) == (sidefx.APIError, 422)
    assert str(error) == "422 There is no build 1 of houdini 20.5 for linux."


def test_rate_limit_error_has_the_retry_after() -> None:
    error = api_error(sample("rate_limit.http"))
    assert isinstance(error, sidefx.RateLimitError)
    assert (error.http_code, error.retry_after) == (429, 7.0)
    assert error.message == "Too many requests, try again later."


def test_redirect_names_its_target_without_its_query() -> None:
    error = api_error(sample("redirect.http"))
    assert error.http_code == 302
    assert "redirects to https://login.sidefx.com, which is not followed" in error.message
    assert "5ec4e7" not in error.message


def test_relative_redirect_names_the_same_host() -> None:
    assert (
        "redirects to https://www.sidefx.com,"
        in api_error(received(http_response(307, headers={"Location": "/x"}))).message
    )


@pytest.mark.parametrize("body", [b"", b" \r\n\t "])
def test_message_of_an_empty_body(body: bytes) -> None:
    assert str(api_error(received(http_response(503, body)))) == "503 Service Unavailable (the server sent no message)"
    assert str(api_error(received(b"HTTP/1.1 599\r\n\r\n"))) == "599 an error (the server sent no message)"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain", "Zoë™".encode()),
        ("text/plain", "\ufeffZoë™".encode()),
        ("text/plain; charset=cp1252", "Zoë™".encode("cp1252")),
    ],
)
def test_message_is_decoded_by_its_charset(content_type: str, body: bytes) -> None:
    assert api_error(received(http_response(422, body, {"Content-Type": content_type}))).message == "Zoë™"


def test_invalid_bytes_are_replaced() -> None:
    assert api_error(received(http_response(422, b"\xff!"))).message == "\ufffd!"


def test_truncated_message_is_shown() -> None:
    assert api_error(received(http_response(422, b"half a mess", {"Content-Length": "100"}))).message == "half a mess"
    assert api_error(received(http_response(422, b"xx", {"Content-Length": "none"}))).http_code == 422
    assert api_error(received(http_response(422, b"xx", {"Content-Encoding": "br"}))).http_code == 422


def test_error_body_is_read_up_to_64_KiB() -> None:
    response = received(http_response(500, b"x" * (1 << 20)))
    assert api_error(response).message == "x" * MAX_ERROR_TEXT
    assert response.raw.closed


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"error": "invalid_client"}', "invalid_client"),
        ('{"error": "invalid_client", "error_description": "no such id"}', "invalid_client: no such id"),
        ('{"error": {"code": 5}}', "{'code': 5}"),
        ('{"detail": "no such id"}', '{"detail": "no such id"}'),
        ('["a", "list"]', '["a", "list"]'),
        ("<html>no such id</html>", "<html>no such id</html>"),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_oauth_errors_of_token_endpoints(text: str, shown: str) -> None:
    assert oauth_error(text) == shown


def test_traceback_is_unescaped_once() -> None:
    twice = html.escape(html.escape("<b>"))
    assert error_message(500, f"Traceback:\n{twice}\n</textarea>") == "Traceback:\n&lt;b&gt;"
