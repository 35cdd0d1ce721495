"""The response headers that tell which part of a file, and which version of it, a response contains."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple


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
    """Return what identifies this version of the file in If-Range: a strong ETag, else Last-Modified, else None."""
    etag = headers.get("ETag", "")
    if re.fullmatch(r'"[\x21\x23-\x7e]{0,200}"', etag):
        return etag
    date = headers.get("Last-Modified", "")
    return date if re.fullmatch(r"[\x20-\x7e]{1,60}", date) else None


def validator_matches(headers: Mapping[str, str], known: str | None) -> bool:
    """Return False if the response's validator differs from ``known``."""
    return known is None or validator(headers) in (None, known)
