"""The responses to range requests: which bytes they contain, and how failures are retried.

RFC 9110, sections 13.1.5 (If-Range) and 14 (range requests).
"""

from __future__ import annotations

import http
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import requests

from ..errors import CallTimeout, DownloadError, TransportError
from ..retry import MAX_RETRY_AFTER
from ..transport.response import content_length
from ..urls import origin

MAX_ATTEMPTS_WITHOUT_PROGRESS = 5
_ENOUGH = 64 * 1024  # bytes: an attempt that received this many is retried at once


class ContentRange(NamedTuple):
    """The bytes from ``start`` to before ``end`` (both None: no range) of ``total`` (None: unknown)."""

    start: int | None
    end: int | None
    total: int | None


def content_range(headers: Mapping[str, str]) -> ContentRange | None:
    """Return the Content-Range of a response, or None if it is missing or invalid."""
    number = "([0-9]{1,18})"
    pattern = rf"bytes (?:{number}-{number}|\*)/(?:{number}|\*)"
    match = re.fullmatch(pattern, headers.get("Content-Range", ""), re.IGNORECASE)
    if not match:
        return None
    start, last, total = (int(group) if group else None for group in match.groups())
    if start is None or last is None:
        return ContentRange(None, None, total)
    if last < start or (total is not None and last >= total):
        return None
    return ContentRange(start, last + 1, total)


def validator(headers: Mapping[str, str]) -> str | None:
    """Return the validator of this version of the file for If-Range: a strong ETag, else Last-Modified, else None."""
    etag = headers.get("ETag", "")
    if re.fullmatch(r'"[\x21\x23-\x7e]{0,200}"', etag):
        return etag
    date = headers.get("Last-Modified", "")
    return date if re.fullmatch(r"[\x20-\x7e]{1,60}", date) else None


def validator_matches(headers: Mapping[str, str], known: str | None) -> bool:
    """Return False if the response's validator differs from ``known``."""
    return known is None or validator(headers) in (None, known)


def matching_range(response: requests.Response, start: int, end: int | None, total: int | None) -> ContentRange | None:
    """Return the range of a response that begins at ``start`` and ends at ``end`` or earlier, with a known total."""
    found = content_range(response.headers)
    if response.status_code != 206 or found is None or found.start != start or found.end is None:
        return None
    total = total or found.total
    if total is None or found.total not in (None, total) or found.end > (end or total):
        return None
    return found._replace(total=total) if content_length(response) in (None, found.end - start) else None


def is_page(response: requests.Response, target: Path) -> bool:
    """Return whether this is the page of a proxy or portal, which must not replace the bytes of ``target``."""
    media = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return media == "text/html" and target.suffix.lower() not in (".html", ".htm")


def status_error(response: requests.Response, more: str = "") -> DownloadError:
    """Return the error for a status. The body of a storage service may quote the signed query, so it is not shown."""
    status = response.status_code
    phrase = http.HTTPStatus(status).phrase if status in http.HTTPStatus._value2member_map_ else "unknown status"
    return DownloadError(f"{origin(str(response.url))} responded with {status} {phrase}{more}", status)


class Replaced(DownloadError):
    """The new URL leads to another file than the old one."""


class RetryableStatus(TransportError):
    """A status that may change at the next attempt, in ``wait`` seconds at the earliest."""

    def __init__(self, message: str, http_code: int, wait: float) -> None:
        super().__init__(message, may_have_executed=True)
        self.http_code = http_code
        self.wait = wait


class UnexpectedResponse(TransportError):
    """A response that does not contain the requested range, ``unread`` and open."""

    def __init__(self, response: requests.Response, message: str | None = None) -> None:
        super().__init__(message or f"status {response.status_code} for a range", may_have_executed=True)
        self.unread = response

    @property
    def is_refusal(self) -> bool:
        """Whether the server refuses the request, which may be one connection too many."""
        return self.unread.status_code >= 400 and self.unread.status_code != 416


class SurplusBytes(UnexpectedResponse):
    """A response with more bytes than it should have."""


class RetryBudget:
    """Counts attempts. ``backoff`` is the wait in seconds after the first one without progress, doubled each time."""

    def __init__(self, backoff: float) -> None:
        self.received = 0  # bytes so far, set by the caller
        self.attempts = 0  # without progress
        self._backoff = backoff
        self._seen = 0

    def wait(self, failure: TransportError) -> float:
        """Return the seconds until the next attempt. Raise DownloadError after the last one."""
        if failure.permanent:
            raise failure
        asked, code = 0.0, None
        if isinstance(failure, RetryableStatus):
            asked, code = failure.wait, failure.http_code
        if asked > MAX_RETRY_AFTER:
            raise DownloadError(f"{failure}; retry after {asked:.0f} s", code)
        gained, self._seen = self.received - self._seen, self.received
        self.attempts = 0 if gained > 0 else self.attempts + 1
        if self.attempts == MAX_ATTEMPTS_WITHOUT_PROGRESS:
            raise DownloadError(f"no data received in {self.attempts} attempts: {failure}", code)
        if gained >= _ENOUGH or isinstance(failure, CallTimeout):  # a timeout was a wait already
            return asked
        return max(asked, self._backoff * 2.0 ** max(0, self.attempts - 1))
