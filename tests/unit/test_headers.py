"""Tests of Retry-After, Content-Range and validators."""

from __future__ import annotations

import email.utils
import time

import pytest

from sidefx_client.downloads.responses import content_range, validator
from sidefx_client.retry import retry_after


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("0", 0.0), ("7", 7.0), ("1.5", 2.0), (" 120 ", 120.0), ("86400", 86400.0)],
)
def test_retry_after_in_seconds(header: str, seconds: float) -> None:
    assert retry_after({"Retry-After": header}) == seconds


@pytest.mark.parametrize(
    "form",
    ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y", "%d %b %Y %H:%M:%S -0000"],
)
@pytest.mark.parametrize("zone", ["UTC0", "EST5", "JST-9"])
def test_retry_after_as_a_date_in_any_time_zone(monkeypatch: pytest.MonkeyPatch, form: str, zone: str) -> None:
    if not hasattr(time, "tzset"):
        pytest.skip("the time zone cannot be changed here")
    with monkeypatch.context() as context:
        context.setenv("TZ", zone)
        time.tzset()
        wait = retry_after({"Retry-After": time.strftime(form, time.gmtime(time.time() + 30))})
    time.tzset()
    assert wait in (29.0, 30.0)


def test_retry_after_date_is_rounded_up_and_not_negative() -> None:
    assert retry_after({"Retry-After": email.utils.formatdate(time.time() - 3600, usegmt=True)}) == 0.0
    wait = retry_after({"Retry-After": email.utils.formatdate(time.time() + 30, usegmt=True)})
    assert wait == round(wait or 0)


NO_TIMES = ["Sun, 99 Nov 2099", "1 Jan 99999999999999999999 00:00:00 GMT", "Dec Dec , 1 00:00:00 31"]


@pytest.mark.parametrize("header", ["", "soon", "-5", "1,5", "+1", "٣", "9" * 30, "0x10", *NO_TIMES])
def test_invalid_retry_after_is_ignored(header: str) -> None:
    assert retry_after({"Retry-After": header}) is None
    assert retry_after({}) is None


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("bytes 0-99/200", (0, 100, 200)),
        ("Bytes 0-0/1", (0, 1, 1)),
        ("bytes 100-199/*", (100, 200, None)),
        ("bytes */200", (None, None, 200)),
        ("bytes */*", (None, None, None)),
    ],
)
def test_content_range_has_start_end_and_total(header: str, told: tuple[object, ...]) -> None:
    assert content_range({"Content-Range": header}) == told


@pytest.mark.parametrize(
    "header",
    ["", "bytes", "bytes 0-99", "bytes=0-99/200", "lines 0-99/200", "bytes 9-1/200", "bytes 0-200/200", "bytes -1-2/3",
     "bytes 0-99/200 ", "bytes 0-٩/20", "bytes 0-9/-1", f"bytes 0-{'9' * 30}/*"],
)  # fmt: skip
def test_impossible_content_range_is_ignored(header: str) -> None:
    assert content_range({"Content-Range": header}) is None
    assert content_range({}) is None


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
