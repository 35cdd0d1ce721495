"""The policy of retries for calls and token requests. Downloads have their own, RetryBudget in downloads/workers.py.

Only these are retried:

    (a) 429
    (b) 401, once, with a new token
    (c) a failure before a byte of the request was sent
    (d) for read-only functions also a dropped connection, a truncated body, 502, 503, 504, and once a timeout

The Retry-After of 429, 502, 503 and 504 is the minimum wait. All other failures are raised at once, because the server
may have executed the call.
"""

from __future__ import annotations

import datetime
import email.utils
import math
import random
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from .errors import APIError, CallTimeout, SideFXError, TransportError, clean, logger

MAX_RETRY_AFTER = 120.0  # seconds: a longer Retry-After is raised to the caller
BACKOFF = 0.5  # seconds before the first retry, doubled each time
MAX_BACKOFF = 60.0  # seconds
RETRYABLE_STATUSES = (502, 503, 504)

_MAX_CLOCK_DIFFERENCE = 86400.0  # seconds: a response's Date that differs by more is not believed


def is_read_only(name: str) -> bool:
    """Return whether the call changes nothing on the server, so that it may be executed twice."""
    function = name.rpartition(".")[2]
    # Despite its name, get_non_commercial_license creates keys at each call.
    return function.startswith("get_") and function != "get_non_commercial_license"


class RetryPolicy:
    """The retries of one call. ``pause()`` is called after each failed attempt.

    ``label`` names the call in the log, and ``retries`` is the maximum number of retries.
    """

    def __init__(self, label: str, retries: int, *, read_only: bool) -> None:
        self._label = label
        self._retries = retries
        self._read_only = read_only
        self._failures: list[SideFXError] = []

    def pause(self, failure: SideFXError, wait: Callable[[float], object], body: Any = "") -> None:
        """Log a retry and wait. Raise ``failure`` if it is not retried or ``body`` cannot be read a second time."""
        delay = self._delay(failure) if len(self._failures) < self._retries else None
        if isinstance(failure, TransportError):  # an earlier attempt may have been executed
            failure.may_have_executed |= any(getattr(earlier, "may_have_executed", False) for earlier in self._failures)
        if delay is None:
            raise failure
        if not isinstance(body, str) and not body.is_repeatable():
            failure.add_hint("the upload cannot be read a second time, so it was not sent again")
            raise failure
        self._failures.append(failure)
        text = clean(str(failure).partition("\n")[0], one_line=True)[:200]
        logger.warning("%s: %s; retrying in %.1f s (attempt %d)", self._label, text, delay, len(self._failures) + 1)
        wait(delay)

    def _delay(self, failure: SideFXError) -> float | None:
        """Return the seconds to wait before a retry, or None if ``failure`` is not retried."""
        backoff = min(MAX_BACKOFF, BACKOFF * 2.0 ** min(len(self._failures), 16)) * random.uniform(0.75, 1.0)
        if isinstance(failure, TransportError):
            timed_out_before = isinstance(failure, CallTimeout) and CallTimeout in map(type, self._failures)
            safe = not failure.may_have_executed or (self._read_only and not timed_out_before)
            return backoff if safe and not failure.permanent else None
        code = failure.http_code if isinstance(failure, APIError) else None  # a response hook may raise others
        if code == 401:
            return None if any(getattr(earlier, "http_code", None) == 401 for earlier in self._failures) else 0.0
        asked = getattr(failure, "retry_after", None) or 0.0
        retryable = code == 429 or (self._read_only and code in RETRYABLE_STATUSES)
        return max(asked, backoff) if retryable and asked <= MAX_RETRY_AFTER else None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the whole seconds that Retry-After asks for (RFC 9110, section 10.2.3), or None.

    A date is relative to the response's own Date, because clocks differ.
    """
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,11}(\.[0-9]{0,20})?", text):
        return float(math.ceil(float(text)))
    date = _timestamp(text)
    if date is None:
        return None
    now = time.time()
    server_now = _timestamp(headers.get("Date", ""))
    if server_now is not None and abs(server_now - now) <= _MAX_CLOCK_DIFFERENCE:
        now = server_now
    return max(0.0, float(math.ceil(date - now)))


def _timestamp(text: str) -> float | None:
    try:
        date = email.utils.parsedate_to_datetime(text)
        # The obsolete forms name no zone and mean UTC (section 5.6.7).
        return date.replace(tzinfo=date.tzinfo or datetime.timezone.utc).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError, OSError):
        return None
