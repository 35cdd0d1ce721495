"""An answer that is no result, told as an APIError in the server's own words."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urljoin

import requests

from .errors import APIError, RateLimitError, TransportError
from .transport.headers import retry_after
from .transport.response import Body, charset
from .urls import origin

ERROR_TEXT_LIMIT = 64 * 1024  # bytes of an error's body that are read
_TRACEBACK_LIMIT = 8 * 1024  # bytes of a traceback from a debug page that are shown


def api_error(response: requests.Response) -> APIError:
    """The error that a status other than 2xx stands for; reads the body up to a limit and closes the answer."""
    status = response.status_code
    if status in (301, 302, 303, 307, 308):
        response.close()
        try:
            target = urljoin(str(response.url), response.headers.get("Location", ""))
        except ValueError:
            target = ""
        return APIError(status, f"the server redirects to {origin(target)}, which is not followed: check the URL")
    message = error_message(status, _text(response)).strip()
    message = message or f"{response.reason or 'an error'} (the server sent no message)"
    if status == 429:
        return RateLimitError(status, message, retry_after(response.headers))
    return APIError(status, message)


def error_message(status: int, text: str) -> str:
    """What of an error's body is meant for people: the traceback alone of a Django debug page, else all of it.

    The traceback stands between a line ``Traceback:`` (old Django) or ``Traceback (most recent call last):`` and a line
    ``</textarea>``, HTML-escaped. In production the body is the traceback itself.
    """
    if status != 500:
        return text
    lines = text.splitlines()
    stripped = [line.strip() for line in lines]
    starts = [i for i, line in enumerate(stripped) if line in ("Traceback:", "Traceback (most recent call last):")]
    ends = [i for i, line in enumerate(stripped) if line == "</textarea>"]
    for start in starts:
        for end in ends:
            if start < end:
                return _clipped(_unescaped("\n".join(lines[start:end])))
    return text


def json_error(text: str) -> str:
    """``error`` and ``error_description`` of a JSON error body (RFC 6749, section 5.2), or the text as it is."""
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(value, dict):
        return text
    return ": ".join(str(value[name]) for name in ("error", "error_description") if value.get(name)) or text


def _text(response: requests.Response) -> str:
    """The body of an error, or what came of it: a status is worth more than the news that its text was cut."""
    blocks: list[bytes] = []
    size = 0
    try:
        with Body(response) as body:
            while block := body.read(min(8192, ERROR_TEXT_LIMIT - size)):
                blocks.append(block)
                size += len(block)
    except TransportError:
        response.close()
    return b"".join(blocks).decode(charset(response), "replace")


def _unescaped(text: str) -> str:
    import html  # its table of entities would be a sixth of what importing this package costs

    return html.unescape(text)


def _clipped(traceback: str) -> str:
    """The end of it, where the exception stands."""
    data = traceback.encode()
    if len(data) <= _TRACEBACK_LIMIT:
        return traceback
    return "…\n" + data[-_TRACEBACK_LIMIT + 4 :].decode(errors="ignore")
