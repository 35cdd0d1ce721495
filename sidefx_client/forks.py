"""What a forked child must make anew: connections and locks cannot be shared with the parent."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forkable(Protocol):
    """Something that a child process must not go on using as it was."""

    def after_fork_in_child(self) -> None: ...


_watched: weakref.WeakSet[Forkable] = weakref.WeakSet()


def watch(thing: Forkable) -> None:
    """Calls ``thing.after_fork_in_child()`` in every child forked from now on, for as long as ``thing`` lives."""
    _watched.add(thing)


def _after_fork_in_child() -> None:
    for thing in list(_watched):
        thing.after_fork_in_child()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_after_fork_in_child)
