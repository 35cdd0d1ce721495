"""Tests of the headers of a download's responses: Content-Range and validators."""

from __future__ import annotations

import pytest

from sidefx_client.downloads.remote import content_range, validator

RANGES = {
    "bytes 0-99/200": (0, 100, 200),
    "Bytes 0-0/1": (0, 1, 1),
    "bytes 100-199/*": (100, 200, None),
    "bytes */200": (None, None, 200),
    "bytes */*": (None, None, None),
}
IMPOSSIBLE = (
    "", "bytes", "bytes 0-99", "bytes=0-99/200", "lines 0-99/200", "bytes 9-1/200", "bytes 0-200/200", "bytes -1-2/3",
    "bytes 0-99/200 ", "bytes 0-٩/20", "bytes 0-9/-1", f"bytes 0-{'9' * 30}/*",
)  # fmt: skip


@pytest.mark.parametrize("header", [*RANGES, *IMPOSSIBLE])
def test_content_range_has_start_end_and_total_or_is_ignored(header: str) -> None:
    assert content_range({"Content-Range": header}) == RANGES.get(header)


@pytest.mark.parametrize(
    ("headers", "state"),
    [
        ({"ETag": '"a-1"', "Last-Modified": "Sat, 01 Nov 2025 10:00:00 GMT"}, '"a-1"'),
        ({"ETag": 'W/"a-1"', "Last-Modified": "Sat, 01 Nov 2025 10:00:00 GMT"}, "Sat, 01 Nov 2025 10:00:00 GMT"),
        ({"ETag": 'W/"a-1"'}, None),
        ({"ETag": "bare"}, None),
        ({"ETag": '"a"b"'}, None),
        ({"ETag": f'"{"x" * 300}"'}, None),
        ({"Last-Modified": "a\r\nb"}, None),
        ({}, None),
    ],
)
def test_validator_is_a_strong_etag_or_last_modified(headers: dict[str, str], state: str | None) -> None:
    assert validator(headers) == state
