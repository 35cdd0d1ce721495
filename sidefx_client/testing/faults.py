"""Scripted faults: a queue of what shall go wrong, of which each request takes the first that is meant for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from werkzeug import Response

# Requests that are not calls: a fault reaches them by these names only, and never because it is meant for any function.
TOKEN, DOWNLOAD = "token", "download"


@dataclass
class Fault:
    """``act()`` gives the answer to send instead, or None to go on; it may sleep, or raise to cut the connection."""

    act: Callable[[], Response | None]
    function: str | None
    times: float
    unread: bool = False


class Faults:
    """The queue."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queue: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Appends ``fault``, to be met ``fault.times`` times."""
        if not fault.times > 0:
            raise ValueError(f"times must be above 0 (math.inf: for ever), not {fault.times!r}")
        with self._lock:
            self._queue.append(fault)

    def meet(self, name: str) -> Response | None:
        """What happens to a request for ``name``: the answer to give, or None where nothing is scripted."""
        return self._act(lambda fault: not fault.unread and _is_for(fault, name))

    def meet_unread(self) -> Response | None:
        """The same for a call of which the body, and so the name, has not been read yet."""
        return self._act(lambda fault: fault.unread)

    def _act(self, wanted: Callable[[Fault], bool]) -> Response | None:
        with self._lock:
            fault = next(filter(wanted, self._queue), None)
            if fault is None:
                return None
            fault.times -= 1
            if fault.times <= 0:
                self._queue.remove(fault)
        return fault.act()


def _is_for(fault: Fault, name: str) -> bool:
    return fault.function == name or (fault.function is None and name not in (TOKEN, DOWNLOAD))
