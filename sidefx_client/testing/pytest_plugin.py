"""The pytest fixture ``sidefx_server``: a new LocalServer for each test.

pytest imports this module in every project with this package, so it imports little itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .server import LocalServer


@pytest.fixture
def sidefx_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalServer]:
    """A SideFX Web API on loopback for one test, see sidefx_client.testing.LocalServer.

    During the test SIDEFX_CLIENT_ID, SIDEFX_CLIENT_SECRET, SIDEFX_ACCESS_TOKEN_URL and SIDEFX_ENDPOINT_URL point to it,
    so code that calls ``sidefx_client.service()`` uses it. URLs that the code passes itself win over the variables. An
    exception in a registered function fails the test, unless the test calls ``sidefx_server.errors.clear()``.
    """
    try:
        from . import LocalServer
    except ImportError as error:
        pytest.fail(str(error), pytrace=False)
    with LocalServer() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server
