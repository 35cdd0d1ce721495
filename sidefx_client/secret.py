"""Secret values: tokens, client secrets and signed URLs that repr, vars and pickle do not show.

Many tools print the local variables of every frame in a traceback. So only frames that never raise hold a secret
in plain text. All other code holds a ``Secret``, or deletes the variable before it raises.
"""

from __future__ import annotations

import weakref
from typing import NoReturn

SHORTEST_REDACTED = 8  # characters: shorter values occur in mocks only, and could match ordinary words

_live: weakref.WeakValueDictionary[int, Secret] = weakref.WeakValueDictionary()


class Secret:
    """A string that only ``reveal()`` shows. While it lives, messages with server text do not show it either."""

    __slots__ = ("__weakref__", "_value")

    def __init__(self, value: str) -> None:
        self._value = value
        if isinstance(value, str) and len(value) >= SHORTEST_REDACTED:
            _live[id(self)] = self

    def reveal(self) -> str:
        """Return the value in plain text."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "<Secret>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled")


def optional(value: str | Secret | None) -> Secret | None:
    """Return ``value`` as a Secret, or None."""
    return value if value is None or isinstance(value, Secret) else Secret(value)


def live_secrets() -> list[Secret]:
    """Return every Secret that is held now and is long enough to be redacted."""
    # values() fails if another thread adds one.
    return [secret for reference in _live.valuerefs() if (secret := reference()) is not None]
