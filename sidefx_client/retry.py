"""What is sent again, and when: the one loop of this package that repeats a request.

Only: (a) after 429, waiting for what Retry-After says; (b) after 401, once, with a new token; (c) when no
byte of the request can have reached the server; (d) a read-only function, also after a drop, a cut body,
502, 503 or 504, and once after a timeout. Everything else is raised at once: the server may have acted on
it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar

from .errors import APIError, CallTimeout, RateLimitError, SideFXError, TransportError
from .log import logger

LONGEST_WAIT = 60.0  # seconds: told to wait for longer, the caller decides

Result = TypeVar("Result")


def with_retries(
    send: Callable[[int], Result],
    *,
    what: str,
    read_only: bool,
    retries: int,
    backoff: float,
    prepare: Callable[[SideFXError], bool],
    pause: Callable[[float], object],
) -> Result:
    """What ``send(attempt)`` returns, called at most ``retries`` + 1 times.

    ``prepare(failure)`` makes ready for the next sending (a new token, the body rewound) and is False where that cannot
    be; ``pause(seconds)`` waits; ``backoff`` is the first wait of ours in seconds, doubled each time; ``what`` is for
    the log.
    """
    seen: list[SideFXError] = []
    while True:
        try:
            return send(len(seen) + 1)
        except SideFXError as error:
            failure = error
        wait = _wait(failure, seen, read_only, backoff)
        if wait is None or len(seen) >= retries or not prepare(failure):
            raise failure
        seen.append(failure)
        logger.warning("%s: %s; sent again in %.1f s (attempt %d)", what, _short(failure), wait, len(seen) + 1)
        pause(wait)


def _short(failure: SideFXError) -> str:
    return str(failure).splitlines()[0][:200]


def _wait(failure: SideFXError, seen: list[SideFXError], read_only: bool, backoff: float) -> float | None:
    """Seconds to wait before the same is sent again; None: it is not sent again."""
    ours = min(LONGEST_WAIT, backoff * 2.0 ** min(len(seen), 16)) * random.uniform(0.75, 1.0)
    if isinstance(failure, RateLimitError):
        asked = failure.retry_after
        return ours if asked is None else asked if asked <= LONGEST_WAIT else None
    if isinstance(failure, APIError) and failure.http_code == 401:
        return None if any(isinstance(f, APIError) and f.http_code == 401 for f in seen) else 0.0
    if isinstance(failure, TransportError) and failure.lasting:
        return None
    if isinstance(failure, TransportError) and not failure.may_have_executed:
        return ours
    if not read_only:
        return None
    if isinstance(failure, CallTimeout):
        return None if any(isinstance(f, CallTimeout) for f in seen) else ours
    if isinstance(failure, TransportError):
        return ours
    return ours if isinstance(failure, APIError) and failure.http_code in (502, 503, 504) else None
