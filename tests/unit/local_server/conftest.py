"""Fixtures: plain requests to a local server over real sockets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.visitor import Visitor

from sidefx_client.testing import LocalServer


@pytest.fixture
def plain() -> Iterator[Visitor]:
    with LocalServer() as server, Visitor(server) as visitor:
        yield visitor


@pytest.fixture(params=[False, True], ids=["http", "https"])
def visitor(request: pytest.FixtureRequest) -> Iterator[Visitor]:
    with LocalServer(tls=request.param) as server, Visitor(server) as visitor:
        yield visitor
