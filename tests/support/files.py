"""Helpers of the download fault tests: one file, and responses that serve it correctly or with a fault."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import requests

import sidefx_client as sidefx
from support.case import SIGNATURE, Case
from support.downloads import md5
from support.scripted import Action, Connection, Request, ScriptedServer, http_response, json_response

MIB = 1 << 20
CONTENT = random.Random(1).randbytes(MIB)
NAME = "houdini-20.5.445-linux.tar.gz"
ETAG = '"one"'


def start_of(request: Request) -> int:
    """Return the first byte that the request's Range asks for, 0 without a Range."""
    asked = request.header("Range")
    if asked is None:
        return 0
    assert asked.startswith("bytes="), asked
    assert asked.endswith("-"), asked
    return int(asked[6:-1])


def head(request: Request, content: bytes = CONTENT, *, etag: str | None = ETAG) -> bytes:
    """Return the head of a correct response to the request."""
    start = start_of(request)
    headers = {"Content-Length": str(len(content) - start), "Content-Type": "application/x-tar"}
    if etag:
        headers["ETag"] = etag
    if not start:
        return http_response(200, b"", headers)
    return http_response(206, b"", {**headers, "Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"})


def serve(content: bytes = CONTENT, *, upto: int | None = None, etag: str | None = ETAG) -> Action:
    """Honor Range. With ``upto`` the connection is closed at that byte of the file."""

    def step(connection: Connection, request: Request) -> None:
        connection.send(head(request, content, etag=etag), content[start_of(request) : upto])
        if upto is not None:
            connection.finish()

    return step


def send(data: bytes) -> Action:
    """Send the same bytes for every request, then close."""

    def step(connection: Connection, request: Request) -> None:
        connection.send(data)
        connection.finish()

    return step


def cut_200(upto: int = MIB // 2, etag: str | None = ETAG) -> Action:
    """Ignore Range, and truncate the body."""
    headers = {"Content-Length": str(MIB), **({"ETag": etag} if etag else {})}
    return send(http_response(200, CONTENT[:upto], headers))


def starts(server: ScriptedServer) -> list[int]:
    return [start_of(request) for request in server.requests]


def session_for(server: ScriptedServer) -> requests.Session:
    session = requests.Session()
    if server.ca_bundle:
        session.verify = server.ca_bundle
    return session


def fetch(case: Case, server: ScriptedServer, **options: Any) -> Path:
    """Download the file from a signed URL."""
    target = case.directory / NAME
    with session_for(server) as session:
        return sidefx.download_file(f"{server.url}/{NAME}?{SIGNATURE}", target, session=session, **options)


def left(case: Case) -> list[str]:
    return sorted(path.name for path in case.directory.iterdir())


def keep_partial(case: Case) -> list[Path]:
    """Declare the partial file and its sidecar, which a failed download must leave."""
    partials = [path for path in case.directory.iterdir() if path.name != NAME]
    assert partials, "the partial file was not kept"
    case.declared.update(partials)
    return partials


def whole(case: Case) -> None:
    target = case.directory / NAME
    assert target.read_bytes() == CONTENT
    assert left(case) == [NAME]
    case.declared.add(target)


def build(server: ScriptedServer, query: str, **changes: Any) -> bytes:
    """Return the API's response for a build."""
    return json_response(
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
    """A step that returns the given builds to calls in order, and plays ``files`` for GET requests."""

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
