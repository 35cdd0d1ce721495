"""A shell for the tests of the command line. Each command runs as a process."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sidefx_client.testing import LocalServer
from support.scripted import ScriptedServer

ROOT = Path(__file__).parents[2]

needs_full_device = pytest.mark.skipif(not Path("/dev/full").exists(), reason="writes to /dev/full")
needs_terminal = pytest.mark.skipif(sys.platform == "win32", reason="only POSIX has pseudo-terminals and signals")


class Done(NamedTuple):
    status: int
    out: str
    err: str


class Shell:
    """A runner of ``python -m sidefx_client`` in ``directory`` against ``server``."""

    def __init__(self, server: LocalServer, directory: Path) -> None:
        self.server = server
        self.directory = directory
        self.environment = {
            **os.environ,
            **server.environment,
            "PYTHONPATH": str(ROOT),
            "PYTHONIOENCODING": "utf-8",  # not a code page of Windows
        }
        self.environment.pop("PYTHONUNBUFFERED", None)  # it would hide a missing flush
        self.program = ["-m", "sidefx_client"]

    def start(
        self, *words: str, out: int = subprocess.PIPE, err: int = subprocess.PIPE, stdin: int | None = None
    ) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-W", "error", *self.program, *words]
        options: Any = {"cwd": self.directory, "env": self.environment, "stdin": stdin}
        return subprocess.Popen(command, stdout=out, stderr=err, **options)

    def __call__(self, *words: str) -> Done:
        out, err = (process := self.start(*words)).communicate(timeout=60)
        assert self.server.client_secret.encode() not in out + err
        return Done(process.returncode, text_of(out), text_of(err))

    def python(self, code: str, *words: str) -> Done:
        """Run ``code``, then the command, in one process."""
        self.program = ["-c", f"import sys\n{code}\nfrom sidefx_client.cli import main\nsys.exit(main())"]
        return self(*words)


def text_of(output: bytes) -> str:
    """Return the output of a process with the line ends that Python reads."""
    return output.decode().replace("\r\n", "\n")


def on_terminal(shell: Shell, *words: str, stream: str, columns: int = 110) -> tuple[int, str]:
    """Return the exit status, and the text on a terminal that is the ``stream`` "out" or "err" of the process."""
    import pty

    ours, theirs = pty.openpty()
    shell.environment.update(TERM="xterm-256color", COLUMNS=str(columns), LINES="30")
    with shell.start(*words, **{stream: theirs}) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # Linux raises EIO at the end of a terminal
            while data := os.read(ours, 1 << 16):
                shown += data
        os.close(ours)
        process.communicate(timeout=20)
    return process.returncode, shown.decode()


def offer(shell: Shell, files: ScriptedServer, content: bytes) -> None:
    """Register a build that is served by ``files``."""
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    found = {"download_url": files.url + "/f?sig=1", "filename": "f.bin", "size": len(content), "hash": digest}
    shell.server.register("download.get_daily_build_download", lambda *args: found)
