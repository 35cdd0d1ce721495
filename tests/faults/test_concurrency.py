"""C: many threads and processes at once. For close() see test_closing.py, for fork test_processes.py."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.case import CLIENT_ID, CLIENT_SECRET, NEW_TOKEN, TOKEN, Case, check_text
from support.scripted import Connection, Request, http_response, json_response, token_response

THREADS = 16
OK = json_response("done")


def echo(connection: Connection, request: Request) -> None:
    """Respond with the call itself, and set a cookie that the client must not send."""
    connection.read_body(request)
    connection.send(json_response(request.call, headers={"Set-Cookie": "session=1; Path=/"}))


def submit_from_all_threads(service: Any) -> None:
    with ThreadPoolExecutor(THREADS) as threads:
        assert list(threads.map(service.bugs.submit_issue, range(THREADS))) == ["done"] * THREADS


def test_C1_cold_threads_share_one_token_request(case: Case, tls: str | None) -> None:
    server = case.server(OK, tokens=[token_response(TOKEN), token_response(NEW_TOKEN)], tls=tls)
    service = case.cold(server)
    service.access_token_expiry_time = 0
    submit_from_all_threads(service)
    assert (len(server.token_requests), len(server.api_requests)) == (2, THREADS)
    assert {request.header("Authorization") for request in server.api_requests} == {f"Bearer {NEW_TOKEN}"}


def test_C1_simultaneous_401s_cause_one_token_request(case: Case, tls: str | None) -> None:
    all_in = threading.Barrier(THREADS)

    def refuse_all_at_once(connection: Connection, request: Request) -> None:
        connection.read_body(request)
        is_old = request.header("Authorization") == f"Bearer {TOKEN}"
        if is_old:
            all_in.wait(10)
        connection.send(http_response(401, "expired") if is_old else OK)

    server, service = case.serve(refuse_all_at_once, tokens=[token_response(NEW_TOKEN)], tls=tls)
    submit_from_all_threads(service)
    assert (len(server.token_requests), len(server.api_requests)) == (1, 2 * THREADS)


def test_C3_threads_share_a_service_without_cookies(case: Case, tls: str | None) -> None:
    server, service = case.serve(echo, tls=tls)

    def correct_results(thread: int) -> int:
        results = [service.things.echo(thread, number=number) for number in range(60)]
        return sum(result == ["things.echo", [thread], {"number": n}] for n, result in enumerate(results))

    with ThreadPoolExecutor(THREADS) as threads:
        assert sum(threads.map(correct_results, range(THREADS))) == 960
    assert len(server.requests) == 960
    assert server.connections <= THREADS
    assert not any(request.header("Cookie") for request in server.requests)


STREAM = http_response(200, b"x" * 100_000, {"Content-Type": "application/octet-stream"})


def test_C5_unread_streams_do_not_block_other_calls(case: Case, tls: str | None) -> None:
    _, service = case.serve([STREAM] * 20 + [OK], tls=tls)
    files = [service.things.stream() for _ in range(20)]
    assert service.bugs.submit_issue(summary="x") == "done"
    for file in files:
        file.close()


def test_C5_unclosed_stream_warns_when_collected(case: Case, tls: str | None) -> None:
    _, service = case.serve([STREAM, STREAM], tls=tls)
    file = service.things.stream()
    with pytest.warns(ResourceWarning, match="ResponseFile") as warned:
        del file
    assert len(warned) == 1
    check_text(str(warned[0].message), "the warning")
    with service.things.stream() as file:
        file.read(10)  # closed before its end, so it does not warn


SHARING = """
import sys
import sidefx_client as sidefx
with sidefx.service(sys.argv[3], sys.argv[4], sys.argv[2], sys.argv[1], token_cache=sys.argv[5]) as service:
    print(service.things.echo(sys.argv[6]))
"""


def test_C6_cold_processes_share_one_token_cache(case: Case) -> None:
    cache = case.directory / "made" / "tokens.json"
    case.declared.add(cache)
    server = case.server(echo)
    arguments = (server.api_url, server.token_url, CLIENT_ID, CLIENT_SECRET, str(cache))
    with ThreadPoolExecutor(8) as threads:
        done = list(threads.map(lambda number: case.python(SHARING, *arguments, f"process {number}"), range(8)))
    for number, process in enumerate(done):
        assert (process.stdout.strip(), process.stderr) == (f"['things.echo', ['process {number}'], {{}}]", "")
    assert 1 <= len(server.token_requests) <= 8
    assert case.python(SHARING, *arguments, "afterwards").returncode == 0
    assert len(server.token_requests) <= 8
