"""C4: close() during calls. Requests in flight are completed, later ones and waits end with a TypeError."""

from __future__ import annotations

import io
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Callable

import pytest
from support.case import SIGNATURE, Case
from support.files import CONTENT, build
from support.scripted import Connection, Request, ScriptedServer, http_response, json_response, stall

import sidefx_client as sidefx

THREADS = 16
STREAM = {"Content-Type": "application/octet-stream"}
BIG = bytes(range(256)) * 16384  # 4 MiB, more than the socket buffers of both ends


class Held:
    """A step that waits half way, until the test has closed the service."""

    def __init__(self, before: Callable[[Connection, Request], None], after: bytes) -> None:
        self._before = before
        self._after = after
        self._reached = threading.Event()
        self._goes_on = threading.Event()

    def __call__(self, connection: Connection, request: Request) -> None:
        self._before(connection, request)
        self._reached.set()
        self._goes_on.wait(10)
        connection.read_body(request)
        connection.send(self._after)

    def close_half_way(self, service: Any, work: Callable[[], Any]) -> Future[Any]:
        """Start ``work`` in a thread, close the service in the middle of it, and let it finish."""
        with ThreadPoolExecutor(1) as threads:
            under_way = threads.submit(work)
            assert self._reached.wait(10)
            service.close()
            self._goes_on.set()
        return under_way


def test_C4_busy_threads_get_results_or_a_type_error(case: Case, tls: str | None) -> None:
    def echo(connection: Connection, request: Request) -> None:
        connection.read_body(request)
        connection.send(json_response(request.call[1]))

    server, service = case.serve(echo, tls=tls)
    results: list[list[int]] = []

    def call(thread: int) -> None:
        number = 0
        with case.raises(TypeError, match="closed"):
            while True:
                assert service.things.count(thread, number) == [thread, number]
                results.append([thread, number])
                number += 1

    with ThreadPoolExecutor(THREADS) as threads:
        calls = [threads.submit(call, thread) for thread in range(THREADS)]
        while len(results) < 10 * THREADS:
            time.sleep(0.001)
        service.close()
    for ended in calls:
        ended.result()
    assert sorted(request.call[1] for request in server.requests) == sorted(results)


def test_C4_upload_in_flight_is_completed(case: Case, tls: str | None) -> None:
    held = Held(lambda connection, request: connection.read_body(request, len(BIG) // 2), json_response("done"))
    server, service = case.serve(held, tls=tls)
    upload = held.close_half_way(service, lambda: service.things.keep(data=sidefx.File(io.BytesIO(BIG))))
    assert upload.result() == "done"
    assert server.requests[0].length > len(BIG)


def test_C4_open_stream_can_be_read_to_its_end(case: Case, tls: str | None) -> None:
    half = len(BIG) // 2
    head = http_response(200, BIG[:half], {**STREAM, "Content-Length": str(len(BIG))})
    held = Held(lambda connection, request: connection.send(head), BIG[half:])
    _, service = case.serve(held, tls=tls)
    file = held.close_half_way(service, service.things.stream).result()
    assert file.read() == BIG
    file.close()


def test_C4_download_in_flight_is_completed(case: Case) -> None:
    half = len(CONTENT) // 2
    head = http_response(200, CONTENT[:half], {"ETag": '"one"', "Content-Length": str(len(CONTENT))})
    held = Held(lambda connection, request: connection.send(head), CONTENT[half:])

    def serve(connection: Connection, request: Request) -> None:
        if request.method == "GET":
            held(connection, request)
        else:
            connection.read_body(request)
            connection.send(build(server, SIGNATURE))

    server, service = case.serve(serve)
    arguments = ("houdini", "20.5", "production", "linux", case.directory)
    fetched = held.close_half_way(service, lambda: sidefx.download_build(service, *arguments))
    case.declared.add(fetched.result())
    assert fetched.result().read_bytes() == CONTENT


def close_while_waiting(server: ScriptedServer, service: Any, requests: int) -> list[Future[Any]]:
    """Start a call in each thread, and close the service when the server has ``requests`` requests."""
    with ThreadPoolExecutor(THREADS) as threads:
        waiting = [threads.submit(service.things.get_any) for _ in range(THREADS)]
        while len(server.requests) < requests:
            time.sleep(0.001)
        started = time.monotonic()
        service.close()
    assert time.monotonic() - started < 5
    return waiting


def test_C4_threads_waiting_for_a_token_do_not_request_another(case: Case) -> None:
    server, service = case.serve(tokens=stall, timeout=0.5)
    service.access_token_expiry_time = 0
    waiting = close_while_waiting(server, service, 1)
    assert all(isinstance(call.exception(), (TypeError, sidefx.CallTimeout)) for call in waiting)
    assert len(server.requests) == 1


@pytest.mark.parametrize(("status", "of_token"), [(429, False), (503, False), (429, True)])
def test_C4_wait_before_a_retry_is_interrupted(case: Case, status: int, of_token: bool) -> None:
    busy = http_response(status, "busy", {"Retry-After": "30"})
    server, service = case.serve(busy, tokens=busy)
    if of_token:
        service.access_token_expiry_time = 0
    waiting = close_while_waiting(server, service, 1 if of_token else THREADS)
    for call in waiting:
        with case.raises(TypeError, match="closed"):
            call.result()
    assert len(server.requests) == (1 if of_token else THREADS)


def test_C4_calls_to_a_silent_server_still_time_out(case: Case) -> None:
    server = case.server(stall)
    for call in close_while_waiting(server, case.service(server, timeout=0.5, retries=0), THREADS):
        with case.raises(sidefx.CallTimeout):
            call.result()
