"""``progress(done, total)`` for callers: often enough for a smooth bar, and at a negligible cost."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Optional

# (bytes done, total bytes or None if unknown). An exception from it cancels the transfer and reaches the caller.
ProgressCallback = Callable[[int, Optional[int]], object]

INTERVAL = 0.05  # seconds: twenty updates a second look smooth


class Progress:
    """Rate-limited calls of ``callback``: for the first and last byte, for restarts, and at most every 0.05 s between.

    ``in_callback`` stays True after the callback raised: that exception must reach the caller unchanged.
    """

    def __init__(self, callback: ProgressCallback | None, total: int | None) -> None:
        self._callback = callback or (lambda done, total: None)
        self.total = total
        self.in_callback = False
        self._done, self._due = -1, 0.0

    def update(self, done: int, *, end: bool = False) -> None:
        """Report ``done`` bytes. Set ``end`` for the last call, because the total may be unknown."""
        now = time.monotonic()
        if done < self._done or now >= self._due or ((end or done == self.total) and done != self._done):
            self._done = done
            self._due = now + INTERVAL
            self.in_callback = True
            self._callback(done, self.total)
            self.in_callback = False
