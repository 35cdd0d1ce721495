"""A local server and a shell for the tests of the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.shells import Shell

from sidefx_client.testing import LocalServer


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    with LocalServer() as server:
        yield Shell(server, tmp_path)
