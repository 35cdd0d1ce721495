"""Tests of connections: reuse, block sizes and timeouts. See also N1 to N9."""

from __future__ import annotations

import threading
import time

import pytest
import requests
from support.scripted import (
    Connection,
    Request,
    ScriptedServer,
    http_response,
    json_response,
    send_and_watch,
)
from support.services import service_of

import sidefx_client as sidefx
from sidefx_client.transport.adapter import Adapter
from sidefx_client.transport.connection import BLOCK

OK = json_response("done")
STREAM = {"Content-Type": "application/octet-stream"}
CHUNKED = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}


def used(server: ScriptedServer) -> list[int]:
    """Return the numbers of the connections of the requests."""
    return [request.connection for request in server.requests]


def test_slow_call_does_not_count_as_idle() -> None:
    def slowly(connection: Connection, request: Request) -> None:
        connection.read_body(request)
        time.sleep(0.35)
        connection.send(OK)

    session = requests.Session()
    session.mount("http://", Adapter(idle_limit=0.3))
    with ScriptedServer([slowly, OK]) as server, session, service_of(server, session=session) as service:
        service.things.do()
        service.things.do()
        assert used(server) == [1, 1]


def test_connection_is_reused_after_its_response_was_read() -> None:
    script = [http_response(200, b"4\r\n[12]\r\n0\r\n\r\n", CHUNKED), http_response(200), OK]
    with ScriptedServer([*script, http_response(200, b"bytes", STREAM), OK]) as server, service_of(server) as service:
        assert [service.things.do() for _ in script] == [[12], None, "done"]
        with service.things.do() as file:
            assert file.read() == b"bytes"
        assert service.things.do() == "done"
        assert used(server) == [1] * 5


GARBAGE = {"Content-Encoding": "gzip", "Content-Length": str(BLOCK + 1)}  # one byte is missing
UNREADABLE = {
    "an unknown coding": http_response(200, b"bytes", {**STREAM, "Content-Encoding": "br"}),
    "no length": http_response(200, b"bytes", {**STREAM, "Content-Length": "five"}),
    "no chunk": http_response(200, b"nonsense\r\n", {**STREAM, "Transfer-Encoding": "chunked"}),
    "no gzip": http_response(200, bytes(BLOCK), GARBAGE),
    "a stream of no gzip": http_response(200, bytes(BLOCK), {**STREAM, **GARBAGE}),
}


@pytest.mark.parametrize("unreadable", UNREADABLE.values(), ids=list(UNREADABLE))
def test_unreadable_response_closes_its_connection(unreadable: bytes) -> None:
    closed = threading.Event()
    with ScriptedServer([send_and_watch(unreadable, closed)]) as server, service_of(server) as service:
        with pytest.raises(sidefx.TransportError) as caught, service.things.do() as file:
            file.read()
        assert closed.wait(5), f"{caught.value!r} keeps its connection open"


@pytest.mark.parametrize("status", [100, 102, 103])
def test_interim_responses_are_skipped(status: int) -> None:
    before = http_response(status, headers=STREAM, framed=False)
    script = [before + before + json_response("one"), json_response("two")]
    with ScriptedServer(script) as server, service_of(server) as service:
        assert (service.things.do(), service.things.do()) == ("one", "two")
        assert server.connections == 1


def test_connect_timeout_does_not_apply_to_sending() -> None:
    def read_late(connection: Connection, request: Request) -> None:
        time.sleep(0.2)
        connection.read_body(request)
        connection.send(OK)

    with ScriptedServer([read_late]) as server, service_of(server, timeout=(0.05, 5)) as service:
        assert service.things.do(scene=bytes(64 * BLOCK)) == "done"
