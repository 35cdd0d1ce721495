"""The pytest fixture ``sidefx_server``: a fresh LocalServer for each test that asks for it.

pytest imports this module in every project where the package is installed, so that it imports next to nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .server import LocalServer


@pytest.fixture
def sidefx_server() -> Iterator[LocalServer]:
    """A SideFX Web API on loopback, for this test only; see sidefx_client.testing.LocalServer.

    An exception in a function that the test registered fails the test, unless it is acknowledged by
    ``sidefx_server.errors.clear()``.
    """
    try:
        from . import LocalServer
    except ImportError as error:
        pytest.fail(str(error), pytrace=False)
    with LocalServer() as server:
        yield server
