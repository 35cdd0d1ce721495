"""The error bodies of the API, as APIError with the server's own message."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urljoin

import requests

from .errors import APIError, RateLimitError, TransportError, clean
from .retry import retry_after
from .transport.connection import BLOCK
from .transport.response import ResponseBody, charset
from .urls import origin

MAX_ERROR_TEXT = 64 * 1024  # bytes of an error body that are read and shown
MAX_DEBUG_PAGE = 1024 * 1024  # bytes of a debug page that are read: its traceback comes late
MAX_TRACEBACK = 8 * 1024  # bytes of a traceback from a debug page that are shown
_TRACEBACK_START = re.compile(r"^[ \t]*Traceback(?: \(most recent call last\))?:[ \t]*\r?$", re.MULTILINE)
_TRACEBACK_END = re.compile(r"^[ \t]*</textarea>[ \t]*\r?$", re.MULTILINE)
_LONGEST_SECRET = 8 * 1024  # characters at the end of truncated text that could be the beginning of a secret


def api_error(response: requests.Response) -> APIError:
    """Return the error for a response whose status is not 2xx. Read its body up to a limit and close it."""
    status = response.status_code
    if status in (301, 302, 303, 307, 308):
        response.close()
        target = clean(origin(redirect_target(response)), one_line=True)
        return APIError(status, f"the server redirects to {target}, which is not followed: check the URL")
    message = error_message(status, _text(response).strip())
    reason = clean(response.reason or "", one_line=True) or "an error"
    message = message or f"{reason} (the server sent no message)"
    if "EULA not accepted" in message:
        message += " (log in and accept it at https://www.sidefx.com/services/eula/)"
    error = (RateLimitError if status == 429 else APIError)(status, message)
    error.retry_after = retry_after(response.headers)
    return error


def redirect_target(response: requests.Response) -> str:
    """Return the absolute URL of a redirect, or "" if its Location is not a URL."""
    try:
        return urljoin(str(response.url), response.headers.get("Location", ""))
    except ValueError:
        return ""


def error_message(status: int, text: str) -> str:
    """Return the part of an error body that is meant for people, cleaned. Usually it is the whole body.

    For a Django debug page (500) only the traceback is returned. It stands between a line ``Traceback:`` (old Django)
    or ``Traceback (most recent call last):`` and a line ``</textarea>``, HTML-escaped. For ``{"error": "text"}`` only
    the text is returned.
    """
    traceback = _traceback(text) if status == 500 else None
    if traceback is not None:
        import html  # its table of entities would be a sixth of the cost of importing this package

        return _clipped(clean(html.unescape(traceback)))
    try:
        value = json.loads(text) if text.lstrip()[:1] == "{" else None
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict) and list(value) == ["error"] and isinstance(value["error"], str):
        text = value["error"]
    return clean(text)[:MAX_ERROR_TEXT]


def oauth_error(text: str) -> str:
    """Return ``error`` and ``error_description`` of a JSON error body (RFC 6749, section 5.2), else the text."""
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(value, dict):
        return text
    return ": ".join(str(value[name]) for name in ("error", "error_description") if value.get(name)) or text


def _traceback(page: str) -> str | None:
    start = _TRACEBACK_START.search(page)
    end = start and _TRACEBACK_END.search(page, start.end())
    return page[start.start() : end.start()].strip("\r\n") if start and end else None


def _text(response: requests.Response) -> str:
    """Return the body of an error, or its beginning if it is too long or truncated."""
    is_page = response.status_code == 500 and "html" in response.headers.get("Content-Type", "").lower()
    limit = MAX_DEBUG_PAGE if is_page else MAX_ERROR_TEXT
    blocks: list[bytes] = []
    size = 0
    try:
        with ResponseBody(response) as body:
            while block := body.read(min(BLOCK, limit + _LONGEST_SECRET - size)):
                blocks.append(block)
                size += len(block)
    except TransportError:
        response.close()
    text = b"".join(blocks).decode(charset(response), "replace")
    return text if size < limit + _LONGEST_SECRET else clean(text)[:-_LONGEST_SECRET]


def _clipped(traceback: str) -> str:
    """Return the end of the traceback, which names the exception."""
    data = traceback.encode("utf-8", "replace")
    if len(data) <= MAX_TRACEBACK:
        return traceback
    return "…\n" + data[-MAX_TRACEBACK + 4 :].decode(errors="ignore")
