"""What the tests of downloads share: one file, how it is fetched, and what is left beside it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import sidefx_client as sidefx
from support.scripted import ScriptedServer

ROOT = str(Path(sidefx.__file__).parents[1])
NAME = "build.tar.gz"
QUERY = "signature=secretsecretsecret"


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def fetch(server: ScriptedServer, directory: Path, **options: Any) -> bytes:
    """The content of the file, once it is in place and nothing else is left."""
    path = sidefx.download_file(f"{server.url}/{NAME}?{QUERY}", directory / NAME, **options)
    assert left(directory) == [NAME]
    return path.read_bytes()


def left(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def kept(directory: Path) -> bytes:
    """The bytes of the partial; none where there is no partial."""
    partials = list(directory.glob("*.part"))
    assert len(partials) < 2
    return partials[0].read_bytes() if partials else b""


def program(code: str, *args: object) -> subprocess.Popen[str]:
    """A Python program that has this package."""
    command = [sys.executable, "-W", "error", "-c", code, *map(str, args)]
    environment = {**os.environ, "PYTHONPATH": ROOT}
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)
