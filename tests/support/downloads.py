"""Helpers of the download tests: fetch one file, and list the files left in the directory."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sidefx_client as sidefx
from support.scripted import ScriptedServer

ROOT = str(Path(sidefx.__file__).parents[1])
NAME = "build.tar.gz"
QUERY = "signature=secretsecretsecret"

# For `program`, with a URL, a path, an MD5 and a number of connections.
FETCHING = """
import sys
import sidefx_client as sidefx
print("ready", flush=True)
sidefx.download_file(sys.argv[1], sys.argv[2], md5=sys.argv[3], connections=int(sys.argv[4]))
"""


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def fetch(server: ScriptedServer, directory: Path, **options: Any) -> bytes:
    """Download the file, check that no other file is left, and return its content."""
    path = sidefx.download_file(f"{server.url}/{NAME}?{QUERY}", directory / NAME, **options)
    assert left(directory) == [NAME]
    return path.read_bytes()


def left(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def kept(directory: Path) -> bytes:
    """Return the bytes of the partial file, or b"" if it does not exist."""
    partials = list(directory.glob("*.part"))
    assert len(partials) < 2
    return partials[0].read_bytes() if partials else b""


def program(code: str, *args: object, prefix: Sequence[str] = ()) -> subprocess.Popen[str]:
    """Start a Python subprocess that can import this package. ``prefix`` is a command that runs it."""
    command = [*prefix, sys.executable, "-W", "error", "-c", code, *map(str, args)]
    environment = {**os.environ, "PYTHONPATH": ROOT}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True)
