"""The fixture ``visitor``, which sends plain requests to a local server over real sockets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.visitor import Visitor

from sidefx_client.testing import LocalServer


@pytest.fixture
def visitor() -> Iterator[Visitor]:
    with LocalServer() as server, Visitor(server) as visitor:
        yield visitor
