"""Tests of the retry policy: which failures are retried, how often, and after how long."""

from __future__ import annotations

import contextlib
import email.utils
import logging
import time
from typing import Any

import pytest
from support.scripted import ScriptedServer, http_response, json_response
from support.services import service_of

import sidefx_client as sidefx
from sidefx_client.retry import MAX_BACKOFF, MAX_RETRY_AFTER, RetryPolicy, retry_after

BUSY = sidefx.RateLimitError(429, "slow down")
UNAUTHORIZED = sidefx.APIError(401, "expired")
UNSENT = sidefx.TransportError("refused")
DROPPED = sidefx.TransportError("dropped", may_have_executed=True)
SILENT = sidefx.CallTimeout("silent", may_have_executed=True)
UNAVAILABLE = [sidefx.APIError(code, "no backend") for code in (502, 503, 504)]
LASTING = sidefx.TransportError("bad certificate", permanent=True)
OTHERS = [sidefx.APIError(code, "no") for code in (400, 403, 404, 408, 413, 422, 425, 500, 501)]


class Sending:
    """A sender that raises the given failures in order, and records the waits."""

    def __init__(self, *failures: sidefx.SideFXError) -> None:
        self.failures = list(failures)
        self.attempts: list[int] = []
        self.waits: list[float] = []

    def deliver(self, **options: Any) -> str:
        known: dict[str, Any] = {"read_only": False, "retries": 3, "backoff": 0.5}
        policy = RetryPolicy("a.b", **{**known, **options})
        while True:
            try:
                return self._send(policy.attempt)
            except sidefx.SideFXError as error:
                failure = error
            delay = policy.delay(failure)
            if delay is None:
                raise failure
            policy.log(failure, delay)
            self.waits.append(delay)

    def _send(self, attempt: int) -> str:
        self.attempts.append(attempt)
        if len(self.attempts) <= len(self.failures):
            raise self.failures[len(self.attempts) - 1]
        return "done"


def sendings(*failures: sidefx.SideFXError, **options: Any) -> int:
    """Return how often a request is sent that raises these failures, then succeeds."""
    sending = Sending(*failures)
    with contextlib.suppress(sidefx.SideFXError):
        sending.deliver(**options)
    return len(sending.attempts)


# The reasons


def test_success_is_sent_once() -> None:
    assert sendings() == 1
    assert Sending().deliver() == "done"


def test_last_failure_is_raised() -> None:
    with pytest.raises(sidefx.TransportError) as caught:
        Sending(BUSY, UNSENT, BUSY, DROPPED).deliver()
    assert caught.value is DROPPED


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("failure", [BUSY, UNSENT])
def test_unexecuted_failures_are_sent_four_times(failure: sidefx.SideFXError, read_only: bool) -> None:
    assert sendings(*[failure] * 3, read_only=read_only) == 4
    assert sendings(*[failure] * 9, read_only=read_only) == 4


@pytest.mark.parametrize("read_only", [True, False])
def test_401_is_retried_once(read_only: bool) -> None:
    assert sendings(UNAUTHORIZED, read_only=read_only) == 2
    assert sendings(UNAUTHORIZED, UNAUTHORIZED, read_only=read_only) == 2
    assert sendings(UNAUTHORIZED, BUSY, UNAUTHORIZED, read_only=read_only) == 3


@pytest.mark.parametrize("failure", [DROPPED, *UNAVAILABLE], ids=str)
def test_drops_and_gateway_errors_are_retried_for_read_only_functions(failure: sidefx.SideFXError) -> None:
    assert sendings(*[failure] * 9, read_only=True) == 4
    assert sendings(*[failure] * 9, read_only=False) == 1


def test_timeout_is_retried_once_for_read_only_functions() -> None:
    assert sendings(SILENT, SILENT, read_only=True) == 2
    assert sendings(SILENT, DROPPED, SILENT, read_only=True) == 3
    assert sendings(SILENT, read_only=False) == 1


@pytest.mark.parametrize("failure", [LASTING, *OTHERS], ids=str)
def test_other_failures_are_not_retried(failure: sidefx.SideFXError) -> None:
    assert sendings(failure, read_only=True) == 1


# The budget


def test_mixed_failures_are_sent_at_most_four_times() -> None:
    assert sendings(UNAUTHORIZED, BUSY, DROPPED, BUSY, read_only=True) == 4
    assert sendings(BUSY, UNSENT, SILENT, UNAVAILABLE[0], read_only=True) == 4


@pytest.mark.parametrize("retries", [0, 1, 5])
def test_retries_limit_the_attempts(retries: int) -> None:
    assert sendings(*[BUSY] * 9, retries=retries) == retries + 1
    assert sendings(UNAUTHORIZED, retries=retries) == min(2, retries + 1)


def test_attempts_are_numbered() -> None:
    sending = Sending(BUSY, UNSENT, BUSY)
    sending.deliver()
    assert sending.attempts == [1, 2, 3, 4]


# The waits


def test_backoff_doubles_with_jitter() -> None:
    sendings = [Sending(BUSY, UNSENT, BUSY) for _ in range(50)]
    for sending in sendings:
        sending.deliver()
    jitter = [wait / (0.5 * 2**number) for sending in sendings for number, wait in enumerate(sending.waits)]
    assert 0.75 <= min(jitter) < 0.8
    assert 0.95 < max(jitter) <= 1


def test_backoff_is_limited() -> None:
    sending = Sending(*[BUSY] * 1100)
    assert sending.deliver(retries=1100) == "done"
    assert 45 <= max(sending.waits) <= MAX_BACKOFF


def test_retry_after_is_honored() -> None:
    sending = Sending(*[sidefx.RateLimitError(429, "slow down", wait) for wait in (0.0, 7.0, MAX_RETRY_AFTER)])
    sending.deliver()
    assert 0 < sending.waits[0] <= 0.5
    assert sending.waits[1:] == [7.0, 120.0]


def test_long_retry_after_is_not_retried() -> None:
    assert sendings(sidefx.RateLimitError(429, "slow down", MAX_RETRY_AFTER + 1)) == 1


def test_401_is_retried_without_a_wait() -> None:
    sending = Sending(UNAUTHORIZED)
    sending.deliver()
    assert sending.waits == [0.0]


# Retry-After


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


# Over sockets


def test_each_retry_logs_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with ScriptedServer([http_response(429, "slow\ndown", {"Retry-After": "0"}), json_response("done")]) as server:
        with service_of(server) as service:
            service.things.do()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == "things.do: 429 slow; retrying in 0.0 s (attempt 2)"
