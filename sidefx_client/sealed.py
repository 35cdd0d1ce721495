"""Secrets behind a function, where neither ``repr()``, ``vars()`` nor the locals of a traceback can tell them.

Many tools print the locals of every frame that an exception came through. So a secret in plain text stands only in the
frames of functions that return and never raise; every other one holds it sealed, or has deleted it before it raises.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Sealed = Callable[[], "tuple[Any, Any]"]  # a secret and what belongs to it: a client's id, a token's expiry


def seal(first: object, second: object) -> Sealed:
    """Both, until the result is called."""
    return lambda: (first, second)
