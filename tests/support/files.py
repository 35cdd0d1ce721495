"""What the cases of downloads share: one file, the answers that serve it well or badly, and how it is fetched."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import requests

import sidefx_client as sidefx
from support.case import SIGNATURE, Case
from support.downloads import md5
from support.scripted import Action, Connection, Request, ScriptedServer, answer, json_answer

MIB = 1 << 20
CONTENT = random.Random(1).randbytes(MIB)
NAME = "houdini-20.5.445-linux.tar.gz"
ETAG = '"one"'


def start_of(request: Request) -> int:
    """Where the client wants to go on, 0 where it asks for the whole."""
    asked = request.header("Range")
    if asked is None:
        return 0
    assert asked.startswith("bytes="), asked
    assert asked.endswith("-"), asked
    return int(asked[6:-1])


def head(request: Request, content: bytes = CONTENT, *, etag: str | None = ETAG) -> bytes:
    """The head of an honest answer to the request."""
    start = start_of(request)
    headers = {"Content-Length": str(len(content) - start), "Content-Type": "application/x-tar"}
    if etag:
        headers["ETag"] = etag
    if not start:
        return answer(200, b"", headers)
    return answer(206, b"", {**headers, "Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"})


def serve(content: bytes = CONTENT, *, upto: int | None = None, etag: str | None = ETAG) -> Action:
    """Honours Range; with ``upto`` the connection is cut at that byte of the file."""

    def step(connection: Connection, request: Request) -> None:
        connection.send(head(request, content, etag=etag), content[start_of(request) : upto])
        if upto is not None:
            connection.finish()

    return step


def send(data: bytes) -> Action:
    """The same bytes whatever is asked for, then the end."""

    def step(connection: Connection, request: Request) -> None:
        connection.send(data)
        connection.finish()

    return step


def cut_200(upto: int = MIB // 2, etag: str | None = ETAG) -> Action:
    """Ignores Range, and is cut."""
    headers = {"Content-Length": str(MIB), **({"ETag": etag} if etag else {})}
    return send(answer(200, CONTENT[:upto], headers))


def starts(server: ScriptedServer) -> list[int]:
    return [start_of(request) for request in server.requests]


def session_for(server: ScriptedServer) -> requests.Session:
    session = requests.Session()
    if server.ca_bundle:
        session.verify = server.ca_bundle
    return session


def fetch(case: Case, server: ScriptedServer, **options: Any) -> Path:
    """The file under its final name, from a signed URL."""
    target = case.directory / NAME
    with session_for(server) as session:
        return sidefx.download_file(f"{server.url}/{NAME}?{SIGNATURE}", target, session=session, **options)


def left(case: Case) -> list[str]:
    return sorted(path.name for path in case.directory.iterdir())


def keep_partial(case: Case) -> list[Path]:
    """Declares the partial (and its sidecar) that a failed download has to leave."""
    partials = [path for path in case.directory.iterdir() if path.name != NAME]
    assert partials, "no partial was kept"
    case.declared.update(partials)
    return partials


def whole(case: Case) -> None:
    target = case.directory / NAME
    assert target.read_bytes() == CONTENT
    assert left(case) == [NAME]
    case.declared.add(target)


def build(server: ScriptedServer, query: str, **changes: Any) -> bytes:
    """What the API says of a build."""
    return json_answer(
        {
            "date": "2025/10/01",
            "download_url": f"{server.url}/{NAME}?{query}",
            "filename": NAME,
            "hash": md5(CONTENT),
            "releases_list": "gold",
            "size": MIB,
            "status": "good",
            **changes,
        }
    )


class API:
    """Answers calls with the builds given, one after the other, and hands files to ``files``."""

    def __init__(self, files: Sequence[Action], *builds: dict[str, Any]) -> None:
        self.server: ScriptedServer
        self.signed: list[Request] = []
        self._files = iter(files)
        self._builds = iter(builds)

    def __call__(self, connection: Connection, request: Request) -> None:
        if request.method == "POST":
            connection.read_body(request)
            connection.send(build(self.server, f"{SIGNATURE}{len(self.server.requests)}", **next(self._builds)))
        else:
            self.signed.append(request)
            next(self._files)(connection, request)


def fetch_build(case: Case, api: API, tls: str | None = None, directory: Path | None = None, **options: Any) -> Path:
    with ScriptedServer(api, tls=tls) as server:
        api.server = server
        with case.service(server) as service:
            target: Path = sidefx.download_build(
                service, "houdini", "20.5", 445, "linux", directory=directory or case.directory, **options
            )
            return target
