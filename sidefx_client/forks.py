"""Registration of objects that a forked child must renew: it cannot share connections and locks with its parent."""

from __future__ import annotations

import os
import weakref
from typing import Any

_registered: weakref.WeakSet[Any] = weakref.WeakSet()


def run_after_fork(renewable: Any) -> None:
    """Call ``renewable.after_fork_in_child()`` in every child forked from now on, as long as ``renewable`` lives."""
    _registered.add(renewable)


def _after_fork_in_child() -> None:
    for renewable in list(_registered):
        renewable.after_fork_in_child()


if hasattr(os, "register_at_fork"):  # Windows cannot fork
    os.register_at_fork(after_in_child=_after_fork_in_child)
