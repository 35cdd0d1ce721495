"""``progress(done, total)`` as callers see it: often enough for a smooth bar, seldom enough to cost nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Optional

# (bytes done, bytes in all or None where nobody knows); what it raises cancels the transfer and reaches the caller.
ProgressCallback = Callable[[int, Optional[int]], object]

INTERVAL = 0.05  # seconds: twenty steps a second look smooth


class Progress:
    """Calls ``callback`` at the start, at the end, at most once in 0.05 s between them, and when ``done`` goes back."""

    def __init__(self, callback: ProgressCallback | None, total: int | None) -> None:
        self._callback = callback
        self.total = total
        self._done = -1
        self._due = 0.0

    def at(self, done: int, *, end: bool = False) -> None:
        """``done`` bytes of the whole are through; ``end``: the last ones, where the total is not known."""
        if self._callback is None:
            return
        now = time.monotonic()
        if done < self._done or now >= self._due or ((end or done == self.total) and done != self._done):
            self._done = done
            self._due = now + INTERVAL
            self._callback(done, self.total)
