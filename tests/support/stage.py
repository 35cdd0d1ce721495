"""What the property tests share: two Hypothesis profiles, JSON values, and a stage on which a server answers as told.

The ordinary run takes the profile "quick": few examples, the same each time. ``HYPOTHESIS_PROFILE=long pytest
tests/test_properties_answers.py`` (or another such file) looks for new ones, a hundred times as many.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

import sidefx_client as sidefx
from support.scripted import Connection, Request, ScriptedServer, token_answer

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"

_HEALTH = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("quick", deadline=None, derandomize=True, suppress_health_check=_HEALTH)
settings.register_profile("long", deadline=None, print_blob=True, suppress_health_check=_HEALTH)
settings.load_profile("long" if LONG else "quick")

# Lone surrogates are among the characters: JSON carries them as escapes.
TEXT = st.text(st.characters(codec="utf-8") | st.characters(categories=["Cs"]), max_size=12)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=8
)


def examples(quick: int) -> settings:
    """So many examples in the quick profile, a hundred times as many in the long one."""
    return settings(settings.default, max_examples=quick * (100 if LONG else 1))


class Stage:
    """A server and a service, for all examples of a module; what is answered to the next request is said beforehand.

    ``tokens`` is what the token endpoint answers.
    """

    def __init__(self, tls: str | None = None, **options: Any) -> None:
        self.tokens = token_answer()
        self.server = ScriptedServer(self._answer, tokens=self._answer, tls=tls)
        given = {"access_token": "a-token", "access_token_url": self.server.token_url, "retries": 0}
        self.service = sidefx.service(
            endpoint_url=self.server.api_url, ca_bundle=self.server.ca_bundle, **{**given, **options}
        )
        self.request: Request | None = None
        self._next: tuple[Sequence[bytes], str, float] = ((), "stay", 0.0)

    def answers(self, *pieces: bytes, ending: str = "stay", pause: float = 0.0) -> None:
        """The next answer, piece by piece; then the connection stays open, or is ended by "FIN" or "RST"."""
        self._next = pieces, ending, pause

    def close(self) -> None:
        self.service.close()
        self.server.__exit__(None, None, None)

    def _answer(self, connection: Connection, request: Request) -> None:
        connection.read_body(request)
        pieces, ending, pause = self._next  # now: after the last piece the next example may have begun
        if request.wants_token:
            pieces, ending = (self.tokens,), "FIN"
        self.request = request
        self.server.requests.clear()
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.send(*pieces, pause=pause)
        if ending == "FIN":
            connection.finish()
        elif ending == "RST":
            connection.reset()
