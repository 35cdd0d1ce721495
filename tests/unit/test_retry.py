"""Tests of the retry policy: which failures are retried, how often, and after how long."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import pytest

import sidefx_client as sidefx
from sidefx_client import retry
from sidefx_client.retry import MAX_BACKOFF, MAX_RETRY_AFTER, RetryPolicy, retry_after

BUSY = sidefx.RateLimitError(429, "slow down")
UNAUTHORIZED = sidefx.APIError(401, "expired")
UNSENT = sidefx.TransportError("refused")
DROPPED = sidefx.TransportError("dropped", may_have_executed=True)
SILENT = sidefx.CallTimeout("silent", may_have_executed=True)
UNAVAILABLE = [sidefx.APIError(code, "no backend") for code in (502, 503, 504)]
LASTING = sidefx.TransportError("bad certificate", permanent=True)
OTHERS = [sidefx.APIError(code, "no") for code in (400, 403, 404, 408, 413, 422, 425, 500, 501)]
OF_HOOKS = [sidefx.AuthorizationError(401, "401: no"), sidefx.DownloadError("no", 429)]


def waits(*failures: sidefx.SideFXError, retries: int = 3, read_only: bool = False) -> list[float]:
    """Return the waits before the retries of a request that raises these failures, then succeeds."""
    waits: list[float] = []
    policy = RetryPolicy("a.b", retries, read_only=read_only)
    with contextlib.suppress(sidefx.SideFXError):
        for failure in failures:
            policy.pause(failure, waits.append)
    return waits


# The reasons and the budget


@pytest.mark.parametrize(
    ("failures", "retries", "read_only"),
    [
        ([BUSY] * 3, 3, 3),
        ([BUSY] * 9, 3, 3),
        ([UNSENT] * 9, 3, 3),
        ([UNAUTHORIZED, UNAUTHORIZED], 1, 1),
        ([UNAUTHORIZED, BUSY, UNAUTHORIZED], 2, 2),
        ([LASTING], 0, 0),
        *(([failure], 0, 0) for failure in (*OTHERS, *OF_HOOKS)),
        ([DROPPED] * 9, 0, 3),
        *(([failure] * 9, 0, 3) for failure in UNAVAILABLE),
        ([SILENT, SILENT], 0, 1),
        ([SILENT, DROPPED, SILENT], 0, 2),
        ([UNAUTHORIZED, BUSY, DROPPED, BUSY], 2, 3),
        ([BUSY, UNSENT, SILENT, UNAVAILABLE[0]], 2, 3),
    ],
)
def test_number_of_retries_of_any_and_of_read_only_functions(failures: list[Any], retries: int, read_only: int) -> None:
    assert len(waits(*failures)) == retries
    assert len(waits(*failures, read_only=True)) == read_only


@pytest.mark.parametrize("retries", [0, 1, 5])
def test_retries_limit_the_attempts(retries: int) -> None:
    assert len(waits(*[BUSY] * 9, retries=retries)) == retries
    assert len(waits(UNAUTHORIZED, retries=retries)) == min(1, retries)


# The waits


def test_backoff_doubles_with_jitter_up_to_its_limit() -> None:
    assert waits(UNAUTHORIZED) == [0.0]
    runs = [waits(BUSY, UNSENT, BUSY) for _ in range(50)]
    jitter = [wait / (retry.BACKOFF * 2**number) for run in runs for number, wait in enumerate(run)]
    assert 0.75 <= min(jitter) < 0.8
    assert 0.95 < max(jitter) <= 1
    assert 45 <= max(waits(*[BUSY] * 1100, retries=1100)) <= MAX_BACKOFF


def test_retry_after_is_the_shortest_wait_up_to_its_limit() -> None:
    first, *rest = waits(*[sidefx.RateLimitError(429, "slow down", wait) for wait in (0.0, 7.0, MAX_RETRY_AFTER)])
    assert 0 < first <= 0.5
    assert rest == [7.0, 120.0]
    assert waits(sidefx.RateLimitError(429, "slow down", MAX_RETRY_AFTER + 1)) == []


# Retry-After


SECONDS: dict[str, float] = {"0": 0, "7": 7, "1.5": 2, " 120 ": 120, "86400": 86400}
INVALID = ("", "soon", "-5", "1,5", "+1", "٣", "9" * 30, "0x10")
NO_TIMES = ("Sun, 99 Nov 2099", "1 Jan 99999999999999999999 00:00:00 GMT", "Dec Dec , 1 00:00:00 31")


@pytest.mark.parametrize("header", [*SECONDS, *INVALID, *NO_TIMES])
def test_retry_after_is_in_seconds_or_ignored_if_invalid(header: str) -> None:
    assert retry_after({"Retry-After": header}) == SECONDS.get(header)
    assert retry_after({}) is None


@pytest.mark.parametrize(
    "form",
    ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y", "%d %b %Y %H:%M:%S -0000"],
)
@pytest.mark.parametrize("zone", ["UTC0", "EST5", "JST-9"])
def test_retry_after_date_is_read_in_any_local_time_zone(monkeypatch: pytest.MonkeyPatch, form: str, zone: str) -> None:
    if not hasattr(time, "tzset"):
        pytest.skip("the time zone cannot be changed here")
    with monkeypatch.context() as context:
        context.setenv("TZ", zone)
        time.tzset()
        wait = retry_after({"Retry-After": time.strftime(form, time.gmtime(time.time() + 30))})
    time.tzset()
    assert wait in (29.0, 30.0)
    assert retry_after({"Retry-After": time.strftime(form, time.gmtime(time.time() - 86400))}) == 0.0


def test_refused_retry_of_a_dropped_call_may_have_executed() -> None:
    policy = RetryPolicy("things.get_all", 1, read_only=True)
    policy.pause(sidefx.TransportError("dropped", may_have_executed=True), lambda seconds: None)
    with pytest.raises(sidefx.TransportError, match="refused") as caught:
        policy.pause(sidefx.TransportError("refused"), lambda seconds: None)
    assert caught.value.may_have_executed
