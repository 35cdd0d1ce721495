"""How long a download is tried for: five times in a row without a new byte."""

from __future__ import annotations

from ..errors import DownloadError, TransportError
from ..retry import MAX_RETRY_AFTER

TRIES = 5


class Busy(TransportError):
    """An answer that may be another one at the next try, ``wait`` seconds from now at the earliest."""

    def __init__(self, message: str, http_code: int, wait: float) -> None:
        super().__init__(message, may_have_executed=True)
        self.http_code = http_code
        self.wait = wait


class Patience:
    """Counts tries; ``backoff`` is the wait in seconds after the first one without a new byte, doubled each time."""

    def __init__(self, backoff: float, done: int) -> None:
        self._backoff = backoff
        self._done = done
        self._tries = 0

    def wait(self, failure: TransportError, done: int) -> float:
        """Seconds until the next try, with ``done`` bytes there; DownloadError where this was the last one."""
        if failure.permanent:
            raise failure
        asked = failure.wait if isinstance(failure, Busy) else 0.0
        code = failure.http_code if isinstance(failure, Busy) else None
        if asked > MAX_RETRY_AFTER:
            raise DownloadError(f"{failure}, to be asked again in {asked:.0f} s", code)
        self._tries = 0 if done > self._done else self._tries + 1
        self._done = max(self._done, done)
        if self._tries == TRIES:
            raise DownloadError(f"no new byte in {TRIES} tries: {failure}", code)
        return max(asked, self._backoff * 2.0 ** max(0, self._tries - 1))
