"""A shell for the tests of the command line, in this process or in a new one."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import pytest

from sidefx_client.cli import main
from sidefx_client.errors import logger
from sidefx_client.testing import LocalServer
from support.downloads import md5
from support.scripted import Action, ScriptedServer, http_response

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
        # The encoding is set because Windows has code pages.
        self.environment = {**os.environ, **server.environment, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
        self.environment.pop("PYTHONUNBUFFERED", None)  # it would hide a missing flush
        self.program = ["-m", "sidefx_client"]

    def start(self, *words: str, **options: Any) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-W", "error", *self.program, *words]
        pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.Popen(command, cwd=self.directory, env=self.environment, **pipes)

    def __call__(self, *words: str, typed: str = "", before: Callable[[], object] = str) -> Done:
        """Run the command in this process, with its own streams and environment. A new process takes 0.2 s more.

        ``typed`` is the text of stdin, and ``before`` is called when the streams are set.
        """
        encoding, handlers, level = self.environment["PYTHONIOENCODING"], logger.handlers[:], logger.level
        out, err = io.BytesIO(), io.BytesIO()
        stdout = io.TextIOWrapper(out, encoding, write_through=True)
        stderr = io.TextIOWrapper(err, encoding, "backslashreplace", write_through=True)
        with pytest.MonkeyPatch.context() as patch, mock.patch.dict(os.environ, self.environment, clear=True):
            patch.chdir(self.directory)
            patch.setattr(sys, "stdin", io.StringIO(typed))
            patch.setattr(sys, "stdout", stdout)
            patch.setattr(sys, "stderr", stderr)
            before()
            try:
                return self._done(main(words), out.getvalue(), err.getvalue())
            finally:
                logger.handlers[:] = handlers
                logger.setLevel(level)

    def run(self, *words: str) -> Done:
        """Run the command in a process of its own."""
        out, err = (process := self.start(*words)).communicate(timeout=60)
        return self._done(process.returncode, out, err)

    def _done(self, status: int, out: bytes, err: bytes) -> Done:
        assert self.server.client_secret.encode() not in out + err
        return Done(status, text_of(out), text_of(err))

    def sh(self, words: str) -> Done:
        """Run the command in sh, for redirections."""
        command = ["sh", "-c", f"'{sys.executable}' -m sidefx_client {words}"]
        done = subprocess.run(command, env=self.environment, cwd=self.directory, capture_output=True, timeout=60)
        return self._done(done.returncode, done.stdout, done.stderr)

    def python(self, code: str, *words: str) -> Done:
        """Run ``code``, then the command, in one process."""
        self.program = ["-c", f"import sys\n{code}\nfrom sidefx_client.cli import main\nsys.exit(main())"]
        return self.run(*words)


def text_of(output: bytes) -> str:
    """Return the output of a process with the line ends that Python reads."""
    return output.decode().replace("\r\n", "\n")


def on_terminal(shell: Shell, *words: str, stream: str, columns: int = 110) -> tuple[int, str]:
    """Run with a terminal as the ``stream`` "out" or "err". Return the exit status and the text on the terminal."""
    import pty

    ours, theirs = pty.openpty()
    shell.environment.update(TERM="xterm-256color", COLUMNS=str(columns), LINES="30")
    with shell.start(*words, **{f"std{stream}": theirs}) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # Linux raises EIO at the end of a terminal
            while data := os.read(ours, 1 << 16):
                shown += data
        os.close(ours)
        process.communicate(timeout=60)
    return process.returncode, shown.decode()


def offer(shell: Shell, files: ScriptedServer, content: bytes) -> None:
    """Register a build that is served by ``files``."""
    found = {"download_url": files.url + "/f?sig=1", "filename": "f.bin", "size": len(content), "hash": md5(content)}
    shell.server.register("download.get_daily_build_download", lambda *args: found)


def send_in_steps(content: bytes, pause: float = 0.12) -> Action:
    """Return a step that sends the file in four pieces."""
    whole = http_response(200, content)
    size = -(-len(whole) // 4)
    return lambda connection, _: connection.send(*(whole[i * size :][:size] for i in range(4)), pause=pause)
