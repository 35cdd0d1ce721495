"""Tests of downloads over several connections: requested ranges, faults of one connection, cancelling."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from support.downloads import fetch, kept, md5
from support.scripted import Connection, Request, ScriptedServer, http_response, stall
from support.served import MIB, Served, content_of

import sidefx_client as sidefx
from sidefx_client.downloads import remote, workers

CONTENT = content_of(12 * MIB)

pytestmark = pytest.mark.usefixtures("hasty")


@pytest.mark.parametrize("known", [{}, {"size": len(CONTENT)}, {"md5": md5(CONTENT)}])
def test_every_byte_is_requested_once_over_all_connections(tmp_path: Path, known: dict[str, Any]) -> None:
    served = Served(CONTENT, pause=0.002)
    with ScriptedServer(served) as server:
        assert fetch(server, tmp_path, connections=4, **known) == CONTENT
        assert server.connections == 4
    assert sorted(served.starts) == [number * MIB for number in range(12)]
    assert served.sent == len(CONTENT)
    expected = None if "md5" in known else '"one"'
    assert all(request.header("If-Range") == expected for request in server.requests[1:])


FIRST = f"bytes=0-{MIB - 1}"


@pytest.mark.parametrize(
    ("options", "asked"), [({"ranges": False}, [FIRST]), ({"headers": {}}, [FIRST, None])], ids=["ranges", "validator"]
)
def test_server_without_ranges_or_validators_gets_one_connection(tmp_path: Path, options: Any, asked: Any) -> None:
    served = Served(CONTENT, **options)
    with ScriptedServer(served) as server:
        assert fetch(server, tmp_path, connections=4) == CONTENT
    assert served.asked == asked


CHANGED = content_of(12 * MIB, seed=2)


def unconditional(connection: Connection, request: Request) -> None:
    """Send the other file, and ignore If-Range."""
    request.headers = [(name, value) for name, value in request.headers if name != "If-Range"]
    Served(CHANGED, headers={"ETag": '"two"'})(connection, request)


CHANGES = {
    "another state": (unconditional, CHANGED),
    "no ranges any more": (Served(CONTENT, ranges=False), CONTENT),
    "another file": (Served(CHANGED, headers={"ETag": '"two"'}), CHANGED),
    "another size": (Served(CHANGED + b"more", headers={"ETag": '"two"'}), CHANGED + b"more"),
}


@pytest.mark.parametrize(("step", "expected"), CHANGES.values(), ids=list(CHANGES))
@pytest.mark.parametrize("number", [2, 6])
def test_D2_mismatching_response_of_one_connection_ends_in_the_right_file(
    tmp_path: Path, number: int, step: Any, expected: bytes
) -> None:
    with ScriptedServer([Served(CONTENT)] * (number - 1) + [step] * 40) as server:
        assert fetch(server, tmp_path, connections=4) == expected


def test_late_block_of_another_version_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    end = MIB + MIB * 3 // 2  # of the second piece
    stalled, restarted, closed = (threading.Event() for _ in range(3))
    monkeypatch.setattr(remote, "TIMEOUT", (10.0, 20.0))
    monkeypatch.setattr(workers, "_GRACE", 0.05)

    def is_restart(request: Request) -> bool:
        return (request.header("Range") or "-").endswith("-")

    def step(connection: Connection, request: Request) -> None:
        if server.requests[0] is request:
            Served(CONTENT)(connection, request)
        elif request.header("Range") == f"bytes={MIB}-{end - 1}":  # not interrupted, because the adapter is not ours
            told = {"ETag": '"one"', "Content-Range": f"bytes {MIB}-{end - 1}/{len(CONTENT)}"}
            connection.send(http_response(206, CONTENT[MIB:end], told)[: MIB + 1000 - end])
            stalled.set()
            assert restarted.wait(5)
            connection.send(CONTENT[MIB + 1000 : MIB + 200_000])
            with contextlib.suppress(ConnectionError):  # a reset, because the client closes with bytes unread
                connection.read()
            closed.set()
        elif is_restart(request):
            whole = http_response(200, CHANGED, {"ETag": '"two"'})
            connection.send(whole[: 6 * MIB])
            assert closed.wait(5)
            connection.send(whole[6 * MIB :])
        else:
            assert stalled.wait(5)
            unconditional(connection, request)

    def progress(done: int, total: int | None) -> None:
        if is_restart(server.requests[-1]) and done > 4 * MIB:
            restarted.set()

    with requests.Session() as session, ScriptedServer(step) as server:
        assert fetch(server, tmp_path, connections=2, session=session, progress=progress) == CHANGED


def test_D12_stalled_connection_delays_only_its_piece_and_bytes_far_ahead(tmp_path: Path) -> None:
    served, stalls = Served(CONTENT, pause=0.002), [stall]

    def stall_once(connection: Connection, request: Request) -> None:
        is_second = request.header("Range") == f"bytes={MIB}-{2 * MIB - 1}"
        (stalls.pop() if is_second and stalls else served)(connection, request)

    with ScriptedServer(stall_once) as server:
        assert fetch(server, tmp_path, connections=4) == CONTENT
    assert served.sent == len(CONTENT)
    before_the_retry = served.starts[: served.starts.index(MIB)]
    assert len(before_the_retry) > 4
    assert max(before_the_retry) <= 9 * MIB  # a process that is killed loses the bytes after a hole


def test_D12_connections_that_stall_together_are_all_resumed(tmp_path: Path) -> None:
    served = Served(CONTENT, cuts=[300_000] * 8, stalls=True)
    with ScriptedServer(served) as server:
        assert fetch(server, tmp_path, connections=8) == CONTENT
    assert (len(served.asked), served.sent) == (12 + 8, len(CONTENT))


REFUSALS = {
    **{str(status): http_response(status, b"", {"Retry-After": "3600"}) for status in (403, 404, 429, 500, 503)},
    "page": http_response(200, b"<p>busy</p>", {"Content-Type": "text/html"}),
    "redirect": http_response(302, b"", {"Location": "http://busy.invalid/"}),
    "reset": None,
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_D17_server_that_accepts_two_connections_gets_two(tmp_path: Path, refusal: bytes | None) -> None:
    served, busy, lock = Served(CONTENT, pause=0.002), [0, 0], threading.Lock()

    def two_at_once(connection: Connection, request: Request) -> None:
        with lock:
            busy[0] += 1
            too_many = busy[0] > 2
            busy[1] += too_many
        try:
            if not too_many:
                served(connection, request)
            elif refusal is None:
                connection.reset()
            else:
                connection.send(refusal)
        finally:
            with lock:
                busy[0] -= 1

    with ScriptedServer(two_at_once) as server:
        assert fetch(server, tmp_path, connections=6) == CONTENT
    assert 1 <= busy[1] <= 5


def test_D17_silent_connections_are_given_up(tmp_path: Path) -> None:
    served = Served(CONTENT, pause=0.002)

    def serve_two(connection: Connection, request: Request) -> None:
        (served if connection.number <= 2 else stall)(connection, request)

    with ScriptedServer(serve_two) as server:
        assert fetch(server, tmp_path, connections=4) == CONTENT
        assert server.connections == 4
    assert served.sent == len(CONTENT)


def test_D12_broken_connections_are_given_up_and_resumed_by_the_next_run(tmp_path: Path) -> None:
    served = Served(CONTENT, cuts=[None] * 6 + [1000] * 3 + [0] * 100)
    with ScriptedServer(served) as server:
        with pytest.raises(sidefx.DownloadError, match="5 attempts"):
            fetch(server, tmp_path, connections=4)
        assert len(served.asked) < 40
    there = len(kept(tmp_path))
    assert MIB <= there < len(CONTENT)
    assert CONTENT.startswith(kept(tmp_path))
    rest = Served(CONTENT)
    with ScriptedServer(rest) as server:
        assert fetch(server, tmp_path) == CONTENT
        assert rest.starts == [there]


@pytest.mark.parametrize("status", [403, 404, 500])
def test_D12_error_status_of_one_connection_ends_the_download(tmp_path: Path, status: int) -> None:
    with ScriptedServer([Served(CONTENT)] * 3 + [http_response(status, b"gone")] * 40) as server:
        with pytest.raises(sidefx.DownloadError) as caught:
            fetch(server, tmp_path, connections=4)
    assert caught.value.http_code == status
    assert CONTENT.startswith(kept(tmp_path))


@pytest.mark.parametrize("kind", [None, "good"])
def test_D13_cancelling_ends_waiting_connections_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str | None
) -> None:
    monkeypatch.setattr(remote, "TIMEOUT", (5.0, 60.0))
    served, silent = Served(CONTENT), Served(CONTENT, cuts=[4] * 9, stalls=True)
    started: list[float] = []

    def cancel(done: int, total: int | None) -> None:
        if done > 4 * MIB:
            time.sleep(0.1)  # until all connections wait
            started.append(time.monotonic())
            raise KeyboardInterrupt

    with ScriptedServer([served] * 6 + [silent, stall] * 9, tls=kind) as server:
        if server.ca_bundle:
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", server.ca_bundle)
        with pytest.raises(KeyboardInterrupt):
            fetch(server, tmp_path, connections=4, progress=cancel)
        assert time.monotonic() - started[0] < 0.5
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("sidefx_client")]
    assert kept(tmp_path)
    assert CONTENT.startswith(kept(tmp_path))
