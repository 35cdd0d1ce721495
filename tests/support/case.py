"""The environment of a fault test, and the checks that its output and objects do not contain a secret."""

from __future__ import annotations

import base64
import os
import pickle
import subprocess
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import pytest
import requests
import urllib3

import sidefx_client as sidefx
from support.scripted import Script, ScriptedServer
from support.services import service_of

CLIENT_ID = "an-id"
CLIENT_SECRET = "clientsecretclientsecret"
TOKEN = "bearertokenbearertoken"
NEW_TOKEN = "renewedtokenrenewedtoken"
SIGNATURE = "signaturesignaturesignature"  # the query of a signed URL
BASIC = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
PROXY_PASSWORD = "proxypasswordproxypassword"
SECRETS = (CLIENT_SECRET, TOKEN, NEW_TOKEN, SIGNATURE, BASIC, PROXY_PASSWORD)

PACKAGE = str(Path(sidefx.__file__).parent)
ROOT = str(Path(PACKAGE).parent)
ATTEMPTS = 4  # the most requests that one call sends
E = TypeVar("E", bound=BaseException)

# For programs run by Case.python. getrusage() would include the memory of the parent process.
PEAK_MEMORY = """
def peak_memory():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1024  # MiB
"""


class Case:
    """Services and files of one test. `finish` checks that the caller's files are open and unmoved."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.declared: set[Path] = set()
        self._services: list[Any] = []
        self._servers = ExitStack()
        self._files: dict[BinaryIO, int] = {}

    def server(self, script: Script = (), **options: Any) -> ScriptedServer:
        """Return a server that runs until the end of the test."""
        return self._servers.enter_context(ScriptedServer(script, **options))

    def serve(self, script: Script = (), **options: Any) -> tuple[ScriptedServer, Any]:
        """Return a server, and a service of it. Both take their options."""
        ours = {name: options.pop(name) for name in ("tokens", "greetings", "tls", "listening") if name in options}
        server = self.server(script, **ours)
        return server, self.service(server, **options)

    def service(self, server: ScriptedServer | None = None, **options: Any) -> Any:
        """Return a service with a valid token and a short backoff. It is closed after the test."""
        secrets = {"client_id": CLIENT_ID, "client_secret_key": CLIENT_SECRET, "access_token": TOKEN}
        service = service_of(server, **{**secrets, **options})
        self._services.append(service)
        return service

    def cold(self, server: ScriptedServer, **options: Any) -> Any:
        """Return a service without a token, which requests one at once."""
        return self.service(server, **{"access_token": None, "access_token_expiry_time": None, **options})

    def failure(
        self,
        script: Script,
        kind: type[E],
        match: str | None = None,
        *,
        function: str = "bugs.submit_issue",
        upload: object = b"content",
        **options: Any,
    ) -> tuple[E, ScriptedServer]:
        """Make one call that raises exactly ``kind``. Return the error and the server."""
        server, service = self.serve(script, **options)
        with self.raises(kind, match) as caught:
            sidefx.call(service, function, kwargs={"scene": upload})
        return caught.value, server

    def write(self, name: str, content: bytes) -> Path:
        """Write a file that the test may leave behind."""
        path = self.directory / name
        path.write_bytes(content)
        self.declared.add(path)
        return path

    def sparse(self, name: str, size: int) -> Path:
        """Write a sparse file of ``size`` zeros."""
        path = self.write(name, b"")
        os.truncate(path, size)
        return path

    def open(self, path: Path, at: int = 0) -> BinaryIO:
        """Open a file that must still be open at the same position after the test."""
        file = path.open("rb")
        file.seek(at)
        self._files[file] = at
        return file

    @contextmanager
    def raises(self, kind: type[E], match: str | None = None) -> Iterator[pytest.ExceptionInfo[E]]:
        """Expect exactly ``kind``, and check that the exception and its chain do not contain a secret."""
        with pytest.raises(kind, match=match) as caught:
            yield caught
        assert caught.type is kind, f"{kind.__name__} expected, not {caught.type.__name__}"
        check_error(caught.value)

    def python(self, code: str, *args: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run ``code`` in a subprocess, and check that its output does not contain a secret."""
        defaults: Any = {"text": True, "timeout": 60, "env": {**os.environ, "PYTHONPATH": ROOT}}
        command = [sys.executable, "-W", "error", "-c", code, *args]
        done = subprocess.run(command, **{"capture_output": True, **defaults, **options})
        check_text(done.stdout + done.stderr, "the output of a child")
        return done

    def finish(self) -> None:
        for service in self._services:
            check_object(service)
            service.close()
        self._servers.close()
        for file, place in self._files.items():
            assert file.tell() == place  # a closed file raises
            file.close()


@contextmanager
def without_root_privileges() -> Iterator[None]:
    """Drop root's privileges, so that mode bits apply."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def check_text(text: str, where: str, secrets: Sequence[str] = SECRETS) -> None:
    for secret in secrets:
        assert secret not in text, f"{secret} found in {where}: …{text[max(0, text.find(secret) - 200) :][:400]}…"


def check_object(thing: Any) -> None:
    """Check ``str``, ``repr``, ``vars`` and the pickle of a public object for secrets."""
    shown = {"str()": str(thing), "repr()": repr(thing), "vars()": repr(getattr(thing, "__dict__", None))}
    try:
        shown["the pickle"] = pickle.dumps(thing).decode("latin-1")
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        shown["the pickling error"] = str(error)
    for what, text in shown.items():
        check_text(text, f"{what} of {type(thing).__name__}")


def check_error(error: BaseException) -> None:
    """Check an exception, its chain and the locals of our own frames for secrets."""
    todo: list[BaseException | None] = [error]
    seen: list[BaseException] = []
    while todo:
        link = todo.pop()
        if link is None or link in seen:
            continue
        seen.append(link)
        todo += [link.__cause__, link.__context__]
        check_object(link)
        foreign = isinstance(link, (requests.RequestException, urllib3.exceptions.HTTPError))
        assert isinstance(link, sidefx.SideFXError) or not foreign, (
            f"{error!r} chains {link!r}, which holds the request"
        )
        for frame, _ in traceback.walk_tb(link.__traceback__):
            if frame.f_code.co_filename.startswith(PACKAGE):
                # A password in the caller's URL is only kept out of messages, not out of frames.
                hidden = [secret for secret in SECRETS if secret != PROXY_PASSWORD]
                check_text(repr(frame.f_locals), f"the locals of {frame.f_code.co_name}", hidden)
    if isinstance(error, sidefx.SideFXError):
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))
        assert str(error).strip(), "empty message"
