"""What a numbered case of the fault matrix works with, and the search for secrets in all that it brought forth."""

from __future__ import annotations

import base64
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, TypeVar

import pytest
import requests
import urllib3

import sidefx_client as sidefx
from support.scripted import ScriptedServer

CLIENT_ID = "an-id"
CLIENT_SECRET = "clientsecretclientsecret"
TOKEN = "bearertokenbearertoken"
NEW_TOKEN = "renewedtokenrenewedtoken"
SIGNATURE = "signaturesignaturesignature"  # of a signed URL: its query
BASIC = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
PROXY_PASSWORD = "proxypasswordproxypassword"
SECRETS = (CLIENT_SECRET, TOKEN, NEW_TOKEN, SIGNATURE, BASIC, PROXY_PASSWORD)

PACKAGE = str(Path(sidefx.__file__).parent)
ROOT = str(Path(PACKAGE).parent)
ATTEMPTS = 4  # sendings of one call at most
E = TypeVar("E", bound=BaseException)

# For programs run by Case.python: getrusage() would count the memory of the process that started them.
PEAK_MEMORY = """
def peak_memory():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1024  # MiB
"""
needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc/self/status")


class Case:
    """Makes services and files for one case, and remembers what has to be as it was when the case is over."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.declared: set[Path] = set()
        self._services: list[Any] = []
        self._files: list[tuple[BinaryIO, int]] = []

    def service(self, server: ScriptedServer | None = None, **options: Any) -> Any:
        """A service with a good token and next to no wait before it sends again; closed when the case is over."""
        given: dict[str, Any] = {
            "client_id": CLIENT_ID,
            "client_secret_key": CLIENT_SECRET,
            "access_token": TOKEN,
            "access_token_expiry_time": time.time() + 3600,
        }
        if server is not None:
            given.update(access_token_url=server.token_url, endpoint_url=server.api_url, ca_bundle=server.ca_bundle)
        service = sidefx.service(**{**given, **options})
        service._client.backoff = 0.01
        self._services.append(service)
        return service

    def cold(self, server: ScriptedServer, **options: Any) -> Any:
        """The same without a token: the first thing that the service does is to ask for one."""
        return self.service(server, **{"access_token": None, "access_token_expiry_time": None, **options})

    def write(self, name: str, content: bytes) -> Path:
        """A file of the caller's."""
        path = self.directory / name
        path.write_bytes(content)
        self.declared.add(path)
        return path

    def sparse(self, name: str, size: int) -> Path:
        """A file of ``size`` zeros that takes no room."""
        path = self.write(name, b"")
        os.truncate(path, size)
        return path

    def open(self, path: Path, at: int = 0) -> BinaryIO:
        """A file that the caller has open, and which has to stay so, at the same place."""
        file = path.open("rb")
        file.seek(at)
        self._files.append((file, at))
        return file

    @contextmanager
    def raises(self, kind: type[E], match: str | None = None) -> Iterator[pytest.ExceptionInfo[E]]:
        """``pytest.raises`` for exactly ``kind``, with a search of the error and of all that it chains."""
        with pytest.raises(kind, match=match) as caught:
            yield caught
        assert caught.type is kind, f"{kind.__name__} expected, not {caught.type.__name__}"
        check_error(caught.value)

    def python(self, code: str, *args: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """The program ``code`` in a process of its own, its output searched."""
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code, *args],
            **{
                "capture_output": True,
                "text": True,
                "timeout": 60,
                "env": {**os.environ, "PYTHONPATH": ROOT},
                **options,
            },
        )
        check_text(done.stdout + done.stderr, "the output of a child")
        return done

    def finish(self) -> None:
        for service in self._services:
            check_object(service)
            service.close()
        for file, place in self._files:
            assert not file.closed, f"{file.name} was closed"
            assert file.tell() == place, f"{file.name} was left at {file.tell()}, not at {place}"
            file.close()


@contextmanager
def without_roots_powers() -> Iterator[None]:
    """Mode bits hold for root as well."""
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
        assert secret not in text, f"{secret} stands in {where}: …{text[max(0, text.find(secret) - 200) :][:400]}…"


def check_object(thing: Any) -> None:
    """No secret in ``str``, ``repr``, ``vars`` and pickle of a public object."""
    name = type(thing).__name__
    check_text(str(thing), f"str() of {name}")
    check_text(repr(thing), f"repr() of {name}")
    check_text(repr(getattr(thing, "__dict__", None)), f"vars() of {name}")
    try:
        pickled = pickle.dumps(thing)
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        check_text(str(error), f"the refusal to pickle {name}")
    else:
        check_text(pickled.decode("latin-1"), f"the pickle of {name}")


def check_error(error: BaseException) -> None:
    """No secret in an error, in all that it chains, and in the locals of our own frames on their way."""
    todo: list[BaseException | None] = [error]
    seen: set[int] = set()
    while todo:
        link = todo.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        todo += [link.__cause__, link.__context__]
        check_object(link)
        check_frames(link.__traceback__)
        foreign = isinstance(link, (requests.RequestException, urllib3.exceptions.HTTPError))
        assert isinstance(link, sidefx.SideFXError) or not foreign, (
            f"{error!r} chains {link!r}, which holds the request"
        )
    if isinstance(error, sidefx.SideFXError):
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))
        assert str(error).strip(), "an error without a word"


def check_frames(trace: TracebackType | None) -> None:
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename.startswith(PACKAGE):
            for name, value in trace.tb_frame.f_locals.items():
                # The password in a URL of the caller's is promised to be in no message, and no more.
                where = f"the local {name} of {Path(code.co_filename).name}:{code.co_name}"
                check_text(repr(value), where, [secret for secret in SECRETS if secret != PROXY_PASSWORD])
        trace = trace.tb_next
