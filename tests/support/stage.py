"""Helpers of the property tests: Hypothesis settings, JSON values, and a server that sends prepared bytes.

By default a few fixed examples run. ``HYPOTHESIS_PROFILE=long pytest tests/properties`` runs a hundred times as many
random ones.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

import sidefx_client as sidefx
from support.scripted import Connection, Request, ScriptedServer
from support.services import service_of

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"

_HEALTH = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("ours", deadline=None, derandomize=not LONG, print_blob=LONG, suppress_health_check=_HEALTH)
settings.load_profile("ours")

# Lone surrogates are included, because JSON carries them as escapes.
TEXT = st.text(st.characters(codec="utf-8") | st.characters(categories=["Cs"]), max_size=12)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=8
)


def examples(quick: int) -> settings:
    """Return settings with ``quick`` examples, or a hundred times as many in the long profile."""
    return settings(settings.default, max_examples=quick * (100 if LONG else 1))


class Stage:
    """A server and a service for all examples of a module. `respond` sets the next response."""

    def __init__(self, tls: str | None = None) -> None:
        self.server = ScriptedServer(self._respond, tls=tls)
        self.service = service_of(self.server, retries=0)
        self.request: Any = None
        self._next: tuple[Sequence[bytes], str, float] = ((), "stay", 0.0)

    def respond(self, *pieces: bytes, ending: str = "stay", pause: float = 0.0) -> None:
        """Set the pieces of the next response. Then the connection stays open, or ends by "FIN" or "RST"."""
        self._next = pieces, ending, pause

    def fetch(self) -> Any:
        """Return the result of a call. Streams are read to their end."""
        result = self.service.things.any()
        if not isinstance(result, sidefx.ResponseFile):
            return result
        with result:
            assert repr(result)
            return result.read()

    def close(self) -> None:
        self.service.close()
        self.server.__exit__(None, None, None)

    def _respond(self, connection: Connection, request: Request) -> None:
        connection.read_body(request)
        pieces, ending, pause = self._next  # read now, because the next example may start after the last piece
        self.request = request
        self.server.requests.clear()
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.send(*pieces, pause=pause)
        if ending == "FIN":
            connection.finish()
        elif ending == "RST":
            connection.reset()
