"""Helpers of the download fault tests: one file, and responses that serve it correctly or with a fault."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import requests

import sidefx_client as sidefx
from sidefx_client.transport.adapter import Adapter
from support.case import SIGNATURE, Case
from support.downloads import left, md5
from support.scripted import Action, Connection, Request, ScriptedServer, http_response, json_response, send_before_body
from support.served import MIB, content_of

CONTENT = content_of(MIB)
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


def cut_200(upto: int = MIB // 2, etag: str | None = ETAG) -> Action:
    """Return a step that ignores Range and truncates the body."""
    headers = {"Content-Length": str(MIB), **({"ETag": etag} if etag else {})}
    return send_before_body(http_response(200, CONTENT[:upto], headers))


def starts(server: ScriptedServer) -> list[int]:
    return [start_of(request) for request in server.requests]


def fetch(case: Case, server: ScriptedServer, **options: Any) -> Path:
    """Download the file from a signed URL."""
    url = f"{server.url}/{NAME}?{SIGNATURE}"
    with requests.Session() as session:
        session.mount("https://", Adapter(server.ca_bundle or True))
        return sidefx.download_file(url, case.directory / NAME, session=session, **options)


def keep_partial(case: Case) -> list[Path]:
    """Declare the partial file and its sidecar, which a failed download must leave."""
    partials = [path for path in case.directory.iterdir() if path.name != NAME]
    assert partials, "the partial file was not kept"
    case.declared.update(partials)
    return partials


def whole(case: Case, content: bytes = CONTENT) -> None:
    """Check that the complete file is the only one left."""
    target = case.directory / NAME
    assert target.read_bytes() == content
    assert left(case.directory) == [NAME]
    case.declared.add(target)


def build(server: ScriptedServer, query: str, **changes: Any) -> bytes:
    """Return the API's response for a build."""
    fields = {"download_url": f"{server.url}/{NAME}?{query}", "filename": NAME, "hash": md5(CONTENT), "size": MIB}
    return json_response({**fields, **changes})


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
