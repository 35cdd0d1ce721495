"""Tests of downloads over several connections: requested ranges, faults of one connection, cancelling."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from support.downloads import NAME, fetch, kept, left, md5, program
from support.scripted import Connection, Request, ScriptedServer, http_response, json_response
from support.served import MIB, Served, content_of
from support.systems import needs_proc

import sidefx_client as sidefx
from sidefx_client.downloads import remote, workers
from sidefx_client.downloads.workers import first_piece

CONTENT = content_of(12 * MIB)


pytestmark = pytest.mark.usefixtures("hasty")


def spans(served: Served) -> list[tuple[int, int]]:
    """Return the first and last byte of each requested range, sorted."""
    found = [wanted.partition("=")[2].partition("-") for wanted in served.asked if wanted]
    return sorted((int(start), int(last)) for start, _, last in found if last)


@pytest.mark.parametrize(
    ("total", "connections", "size"),
    [
        (2 * MIB, 4, None),
        (None, 8, MIB),
        (3 * MIB, 8, MIB),
        (256 * MIB, 8, 8 * MIB),
        (4096 * MIB, 8, 16 * MIB),
        (4096 * MIB, 32, 16 * MIB),
    ],
)
def test_piece_sizes(total: int | None, connections: int, size: int | None) -> None:
    assert first_piece(0, total, connections).end == size


@pytest.mark.parametrize("known", [{}, {"size": len(CONTENT)}, {"md5": md5(CONTENT)}])
@pytest.mark.parametrize("kind", [None, "good"])
def test_every_byte_is_requested_once_over_all_connections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: dict[str, Any], kind: str | None
) -> None:
    served = Served(CONTENT, pause=0.002)
    with ScriptedServer(served, tls=kind) as server:
        if server.ca_bundle:
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", server.ca_bundle)
        assert fetch(server, tmp_path, connections=4, **known) == CONTENT
        assert server.connections == 4
    assert [start for start, _ in spans(served)] == [0, *(last + 1 for _, last in spans(served)[:-1])]
    assert spans(served)[-1][1] == len(CONTENT) - 1
    assert len(served.asked) == len(spans(served)) == 12
    assert served.sent == len(CONTENT)
    expected = None if "md5" in known else '"one"'
    assert all(request.header("If-Range") == expected for request in server.requests[1:])


def test_response_that_ignores_the_range_is_used_as_the_file(tmp_path: Path) -> None:
    served = Served(CONTENT, ranges=False)
    with ScriptedServer(served) as server:
        assert fetch(server, tmp_path, connections=4) == CONTENT
        assert (len(served.asked), served.sent) == (1, len(CONTENT))


def test_file_without_a_validator_uses_one_connection(tmp_path: Path) -> None:
    served = Served(CONTENT, headers={})
    with ScriptedServer(served) as server:
        assert fetch(server, tmp_path, connections=4) == CONTENT
        assert served.asked[-1] is None
        assert len(served.asked) == 2


def otherwise_from(number: int, served: Served, step: Any) -> Any:
    """Return a step that plays ``served`` before request ``number``, and ``step`` from there on."""
    count = iter(range(1, 10_000))

    def answer_one(connection: Connection, request: Request) -> None:
        (step if next(count) >= number else served)(connection, request)

    return answer_one


def lie(connection: Connection, request: Request) -> None:
    """Send the requested number of bytes of the right file, but from one byte earlier."""
    start, _, last = (request.header("Range") or "").partition("=")[2].partition("-")
    if not start:
        connection.send(http_response(200, CONTENT, {"ETag": '"one"'}))
        return
    first, end = int(start) - 1, int(last) if last else len(CONTENT) - 1
    told = f"bytes {first}-{end - 1}/{len(CONTENT)}"
    connection.send(http_response(206, CONTENT[first:end], {"ETag": '"one"', "Content-Range": told}))


CHANGED = content_of(12 * MIB, seed=2)


def unconditional(connection: Connection, request: Request) -> None:
    """Send the other file, and ignore If-Range."""
    request.headers = [(name, value) for name, value in request.headers if name != "If-Range"]
    Served(CHANGED, headers={"ETag": '"two"'})(connection, request)


def overflow(connection: Connection, request: Request) -> None:
    """Send more than the piece, without a Content-Length."""
    start, _, last = (request.header("Range") or "").partition("=")[2].partition("-")
    if not last:
        Served(CONTENT)(connection, request)
        return
    told = f"bytes {start}-{last}/{len(CONTENT)}"
    body = CONTENT[int(start) : int(last) + 1] + bytes(MIB)
    connection.send(http_response(206, body, {"ETag": '"one"', "Content-Range": told}, framed=False))
    connection.finish()


CHANGES = {
    "another state": (unconditional, CHANGED),
    "more than the piece": (overflow, CONTENT),
    "another start": (lie, CONTENT),
    "no ranges any more": (Served(CONTENT, ranges=False), CONTENT),
    "another file": (Served(CHANGED, headers={"ETag": '"two"'}), CHANGED),
    "another size": (Served(CHANGED + b"more", headers={"ETag": '"two"'}), CHANGED + b"more"),
}


@pytest.mark.parametrize(("step", "expected"), CHANGES.values(), ids=list(CHANGES))
@pytest.mark.parametrize("number", [2, 6])
def test_D2_mismatching_response_of_one_connection_ends_in_the_right_file(
    tmp_path: Path, number: int, step: Any, expected: bytes
) -> None:
    with ScriptedServer(otherwise_from(number, Served(CONTENT), step)) as server:
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
        elif (
            request.header("Range") == f"bytes={MIB}-{end - 1}"
        ):  # stalls with an adapter that is not ours, so that the read is not interrupted
            told = {"ETag": '"one"', "Content-Range": f"bytes {MIB}-{end - 1}/{len(CONTENT)}"}
            connection.send(http_response(206, CONTENT[MIB:end], told)[: MIB + 1000 - end])
            stalled.set()
            assert restarted.wait(5)
            connection.send(CONTENT[MIB + 1000 : MIB + 200_000])
            with contextlib.suppress(ConnectionError):  # a reset, because it closes with bytes unread
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


def test_truncated_piece_is_resumed(tmp_path: Path) -> None:
    served = Served(CONTENT, cuts=[None, MIB // 2, None, MIB // 4])
    with ScriptedServer(served) as server:
        assert fetch(server, tmp_path, connections=4) == CONTENT
        assert served.sent == len(CONTENT)
        assert len(served.asked) == 14


def test_connections_stay_near_the_contiguous_bytes(tmp_path: Path) -> None:
    served = Served(CONTENT)

    def hold_the_first(connection: Connection, request: Request) -> None:
        if served.asked or len(server.requests) > 1:
            served(connection, request)
            return
        told = {"ETag": '"one"', "Content-Range": f"bytes 0-{MIB - 1}/{len(CONTENT)}", "Content-Length": str(MIB)}
        connection.send(http_response(206, CONTENT[:1000], told))
        time.sleep(0.3)  # for the others to go as far as they will
        assert max(served.starts) <= 8 * MIB
        connection.send(CONTENT[1000:MIB])

    with ScriptedServer(hold_the_first) as server:
        assert fetch(server, tmp_path, connections=4) == CONTENT


def test_D12_stalled_connection_delays_only_its_piece(tmp_path: Path) -> None:
    def stall(connection: Connection, request: Request) -> None:
        if len(served.asked) == 2:
            served.asked.append(None)
            connection.stall()
        else:
            served(connection, request)

    served = Served(CONTENT, pause=0.002)
    with ScriptedServer(stall) as server:
        assert fetch(server, tmp_path, connections=4) == CONTENT
        assert served.sent == len(CONTENT)


@pytest.mark.parametrize("status", [403, 404, 429, 500, 503, None], ids=lambda status: str(status or "reset"))
def test_D17_server_that_accepts_two_connections_gets_two(tmp_path: Path, status: int | None) -> None:
    served, busy, lock = Served(CONTENT, pause=0.002), [0, 0], threading.Lock()

    def two_at_once(connection: Connection, request: Request) -> None:
        with lock:
            busy[0] += 1
            too_many = busy[0] > 2
            busy[1] += too_many
        try:
            if not too_many:
                served(connection, request)
            elif status is None:
                connection.reset()
            else:
                connection.send(http_response(status, b"", {"Retry-After": "3600"}))
        finally:
            with lock:
                busy[0] -= 1

    with ScriptedServer(two_at_once) as server:
        assert fetch(server, tmp_path, connections=6) == CONTENT
    assert 1 <= busy[1] <= 5


def test_last_connection_retries_a_busy_server(tmp_path: Path) -> None:
    served, refusals = Served(CONTENT), iter(range(5))

    def busy_for_a_while(connection: Connection, request: Request) -> None:
        if len(served.asked) >= 3 and next(refusals, None) is not None:
            connection.send(http_response(503))
        else:
            served(connection, request)

    with ScriptedServer(busy_for_a_while) as server:
        assert fetch(server, tmp_path, connections=3) == CONTENT


def test_resume_info_counts_contiguous_bytes(tmp_path: Path) -> None:
    served = Served(CONTENT, pause=0.005)
    counts: list[int] = []

    def look(connection: Connection, request: Request) -> None:
        info = json.loads((tmp_path / f"{NAME}.part.json").read_bytes())
        counts.append(info["contiguous"] if info else -1)
        served(connection, request)

    with ScriptedServer(look) as server:
        fetch(server, tmp_path, connections=4)
    assert len(counts) == len(served.asked)
    assert counts[:2] == [-1, 0]
    assert max(counts) > 0


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


def test_several_connections_resume_the_file_of_one(tmp_path: Path) -> None:
    served = Served(CONTENT, cuts=[5 * MIB] + [0] * 5)
    with ScriptedServer(served) as server:
        with pytest.raises(sidefx.DownloadError):
            fetch(server, tmp_path)
    rest = Served(CONTENT)
    with ScriptedServer(rest) as server:
        assert fetch(server, tmp_path, connections=4) == CONTENT
        assert min(rest.starts) == 5 * MIB
        assert rest.sent == 7 * MIB


@pytest.mark.parametrize("status", [403, 404, 500])
def test_D12_error_status_of_one_connection_ends_the_download(tmp_path: Path, status: int) -> None:
    gone = http_response(status, b"gone")
    with ScriptedServer(otherwise_from(4, Served(CONTENT), lambda connection, _: connection.send(gone))) as server:
        with pytest.raises(sidefx.DownloadError) as caught:
            fetch(server, tmp_path, connections=4)
    assert caught.value.http_code == status
    assert CONTENT.startswith(kept(tmp_path))


def test_D6_expired_url_is_renewed_once_for_all_connections(tmp_path: Path) -> None:
    served, urls = Served(CONTENT), iter(range(1, 10))

    def api_and_files(connection: Connection, request: Request) -> None:
        if request.method == "POST":
            connection.read_body(request)
            url = f"{server.url}/{NAME}?signature={next(urls)}"
            fields = {"download_url": url, "filename": NAME, "size": len(CONTENT), "hash": md5(CONTENT)}
            connection.send(json_response(fields))
        elif request.path.endswith("=1") and len(served.asked) > 4:
            connection.send(http_response(403))
        else:
            served(connection, request)

    with ScriptedServer(api_and_files) as server:
        with sidefx.service(access_token="", endpoint_url=server.api_url) as service:
            path = sidefx.download_build(service, "houdini", "20.5", 1, "linux", tmp_path, connections=4)
    assert path.read_bytes() == CONTENT
    assert left(tmp_path) == [NAME]
    assert next(urls) == 3
    assert served.sent < 1.5 * len(CONTENT)


def silent_after(count: int) -> Any:
    """Return a step that stalls after ``count`` requests, half of them in the head, half in the body."""
    served, counter = Served(CONTENT), iter(range(1, 1000))

    def step(connection: Connection, request: Request) -> None:
        number = next(counter)
        if number <= count:
            served(connection, request)
            return
        if number % 2:
            start, _, last = str(request.header("Range")).partition("=")[2].partition("-")
            told = f"bytes {start}-{last}/{len(CONTENT)}"
            length = str(int(last) - int(start) + 1)
            connection.send(
                http_response(
                    206,
                    CONTENT[int(start) : int(start) + 4],
                    {"ETag": '"one"', "Content-Range": told, "Content-Length": length},
                )
            )
        connection.stall()

    return step


@pytest.mark.parametrize("kind", [None, "good"])
def test_D13_cancelling_ends_waiting_connections_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str | None
) -> None:
    monkeypatch.setattr("sidefx_client.downloads.remote.TIMEOUT", (5.0, 60.0))
    started: list[float] = []

    def cancel(done: int, total: int | None) -> None:
        if done > 4 * MIB:
            time.sleep(0.1)  # for all of them to be waiting
            started.append(time.monotonic())
            raise KeyboardInterrupt

    with ScriptedServer(silent_after(6), tls=kind) as server:
        if server.ca_bundle:
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", server.ca_bundle)
        with pytest.raises(KeyboardInterrupt):
            fetch(server, tmp_path, connections=4, progress=cancel)
        assert time.monotonic() - started[0] < 0.5
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("sidefx_client")]
    assert kept(tmp_path)
    assert CONTENT.startswith(kept(tmp_path))


INTERRUPTED = """
import os, sys, threading
import sidefx_client as sidefx
try:
    sidefx.download_file(sys.argv[1], sys.argv[2], connections=4)
except KeyboardInterrupt:
    links = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")[:-1]]
    print(threading.active_count(), sum("socket" in link for link in links), flush=True)
"""


@needs_proc
def test_D13_ctrl_c_ends_all_connections_and_keeps_the_partial_file(tmp_path: Path) -> None:
    with ScriptedServer(silent_after(6)) as server:
        with program(INTERRUPTED, f"{server.url}/{NAME}", tmp_path / NAME) as child:
            deadline = time.monotonic() + 10
            while len(server.requests) < 10 and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(0.1)
            start = time.monotonic()
            child.send_signal(signal.SIGINT)
            assert child.stdout is not None
            assert child.stdout.read().split() == ["1", "0"]
            assert time.monotonic() - start < 1
    assert kept(tmp_path)
    assert CONTENT.startswith(kept(tmp_path))
