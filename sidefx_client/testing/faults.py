"""Scripted faults: a queue from which each request takes the first fault that applies to it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from werkzeug import Response

# Requests that are not calls. A fault without a function does not apply to them.
TOKEN, DOWNLOAD = "token", "download"


@dataclass
class Fault:
    """A fault: ``act()`` returns the response to send instead, or None to continue. It can sleep or raise."""

    act: Callable[[], Response | None]
    function: str | None
    times: float
    unread: bool = False


class Faults:
    """The queue."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queue: list[Fault] = []

    def add(self, fault: Fault, known: Iterable[str]) -> None:
        """Append ``fault``. Raise ValueError for invalid times, or for a misspelled name of a ``known`` function."""
        if not fault.times > 0:
            raise ValueError(f"times must be above 0 (math.inf: for ever), not {fault.times!r}")
        if fault.function is not None:
            _require_spelled_right(fault.function, {TOKEN, DOWNLOAD, *known})
        with self._lock:
            self._queue.append(fault)

    def apply(self, name: str) -> Response | None:
        """Run the fault for a request for ``name``. Return its response, or None if the request continues."""
        return self._apply(lambda fault: not fault.unread and _applies(fault, name))

    def apply_unread(self) -> Response | None:
        """Run the fault for a call before its body, and so the function's name, is read."""
        return self._apply(lambda fault: fault.unread)

    def _apply(self, applies: Callable[[Fault], bool]) -> Response | None:
        with self._lock:
            fault = next(filter(applies, self._queue), None)
            if fault is None:
                return None
            fault.times -= 1
            if fault.times <= 0:
                self._queue.remove(fault)
        return fault.act()


def _applies(fault: Fault, name: str) -> bool:
    return fault.function == name or (fault.function is None and name not in (TOKEN, DOWNLOAD))


def _require_spelled_right(name: str, known: set[str]) -> None:
    """Raise ValueError if ``name`` is close to a known name, because such a fault would never apply."""
    import difflib

    near = [] if name in known else difflib.get_close_matches(name, known, 1, 0.8)
    if near:
        raise ValueError(
            f"unknown function {name!r}: did you mean {near[0]!r}? Otherwise register() {name!r} before its faults"
        )
