"""The connections: when one is used again, whether a byte of a request went out, and which timeout holds when."""

from __future__ import annotations

import io
import socket
import sys
import threading
import time

import pytest
import requests
from support.scripted import Connection, Request, ScriptedServer, answer, cut, early, json_answer, keep
from support.services import service_of

import sidefx_client as sidefx
from sidefx_client.transport.adapter import Adapter
from sidefx_client.transport.connection import BLOCK

OK = json_answer("done")


def used(server: ScriptedServer) -> list[int]:
    """The numbers of the connections on which the requests came."""
    return [request.connection for request in server.requests]


def test_a_connection_is_used_again_within_its_idle_limit_only() -> None:
    with ScriptedServer(OK) as server, requests.Session() as session:
        session.mount("http://", Adapter(idle_limit=0.3))
        with service_of(server, session=session) as service:
            service.things.do()
            service.things.do()
            time.sleep(0.35)
            service.things.do()
        assert used(server) == [1, 1, 2]


def test_a_call_that_takes_longer_than_the_idle_limit_was_not_idle() -> None:
    def slowly(connection: Connection, request: Request) -> None:
        connection.read_body(request)
        time.sleep(0.35)
        connection.send(OK)

    with ScriptedServer([slowly, OK]) as server, requests.Session() as session:
        session.mount("http://", Adapter(idle_limit=0.3))
        with service_of(server, session=session) as service:
            service.things.do()
            service.things.do()
        assert used(server) == [1, 1]


def test_a_connection_that_the_server_closed_is_replaced_unseen() -> None:
    closed = threading.Event()

    def answer_and_close(connection: Connection, request: Request) -> None:
        cut(OK)(connection, request)
        closed.set()

    with ScriptedServer([answer_and_close, OK]) as server, service_of(server) as service:
        service.things.do()
        closed.wait(5)
        service.things.do()
        assert used(server) == [1, 2]


@pytest.mark.parametrize("tls", [None, "good"])
def test_an_answer_that_comes_before_the_whole_request_ends_its_connection(tls: str | None) -> None:
    with ScriptedServer([early(answer(413, "too large")), OK], tls=tls) as server, service_of(server) as service:
        with pytest.raises(sidefx.APIError, match="413 too large"):
            service.things.do(scene=bytes(64 * BLOCK))
        service.things.do()
        assert used(server) == [1, 2]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems may drop the answer with the reset")
@pytest.mark.parametrize("tls", [None, "good"])
@pytest.mark.parametrize("fin", [True, False], ids=["end and reset", "reset"])
def test_an_answer_is_read_although_its_server_broke_the_sending_off(tls: str | None, fin: bool) -> None:
    def break_off(connection: Connection, request: Request) -> None:
        connection.send(answer(413, "too large"))
        if fin:
            socket.socket.shutdown(connection.socket, socket.SHUT_WR)
        time.sleep(0.05)  # for the answer to be there before the reset
        connection.close()

    with ScriptedServer([break_off], tls=tls) as server, service_of(server) as service:
        with pytest.raises(sidefx.APIError, match="413 too large"):
            service.things.do(scene=bytes(64 * BLOCK))


def test_an_upload_is_read_in_blocks() -> None:
    class Recording(io.BytesIO):
        sizes: set[int] = set()

        def read(self, size: int | None = -1) -> bytes:
            self.sizes.add(size or 0)
            return super().read(size)

    with ScriptedServer(OK) as server, service_of(server) as service:
        service.things.do(scene=sidefx.File(Recording(bytes(3 * BLOCK + 5))))
    assert Recording.sizes == {0, 5, BLOCK}  # 0: a look at what kind of thing it reads


def test_a_connection_goes_back_as_soon_as_its_answer_was_read() -> None:
    chunks = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    stream = {"Content-Type": "application/octet-stream"}
    script = [answer(200, b"4\r\n[12]\r\n0\r\n\r\n", chunks), answer(200), answer(200, b"bytes", stream), OK]
    with ScriptedServer(script) as server, service_of(server) as service:
        assert service.things.do() == [12]
        assert service.things.do() is None
        with service.things.do() as file:
            assert file.read() == b"bytes"
        assert service.things.do() == "done"
        assert used(server) == [1, 1, 1, 1]


STREAM = {"Content-Type": "application/octet-stream"}
GARBAGE = {"Content-Encoding": "gzip", "Content-Length": str(BLOCK + 1)}  # one byte is still to come
UNREADABLE = {
    "an unknown coding": answer(200, b"bytes", {**STREAM, "Content-Encoding": "br"}),
    "no length": answer(200, b"bytes", {**STREAM, "Content-Length": "five"}),
    "no chunk": answer(200, b"nonsense\r\n", {**STREAM, "Transfer-Encoding": "chunked"}),
    "no gzip": answer(200, bytes(BLOCK), GARBAGE),
    "a stream of no gzip": answer(200, bytes(BLOCK), {**STREAM, **GARBAGE}),
}


@pytest.mark.parametrize("unreadable", UNREADABLE.values(), ids=list(UNREADABLE))
def test_a_connection_is_closed_as_soon_as_its_answer_proves_unreadable(unreadable: bytes) -> None:
    closed = threading.Event()
    with ScriptedServer([keep(unreadable, closed)]) as server, service_of(server) as service:
        with pytest.raises(sidefx.TransportError) as caught, service.things.do() as file:
            file.read()
        assert closed.wait(5), f"{caught.value!r} keeps its connection open"


def test_nothing_was_sent_while_there_is_no_connection() -> None:
    with ScriptedServer(listening=False) as server, service_of(server, retries=0) as service:
        with pytest.raises(sidefx.TransportError) as caught:
            service.things.do()
    assert not caught.value.may_have_executed


def test_nothing_was_sent_when_the_handshake_is_cut() -> None:
    with ScriptedServer(tls="good", greetings=[Connection.close]) as server, service_of(server, retries=0) as service:
        with pytest.raises(sidefx.TransportError) as caught:
            service.things.do()
    assert not caught.value.may_have_executed


@pytest.mark.parametrize("tls", [None, "good"])
def test_a_request_that_went_out_may_have_been_executed(tls: str | None) -> None:
    with ScriptedServer([cut()], tls=tls) as server, service_of(server) as service:
        with pytest.raises(sidefx.TransportError) as caught:
            service.things.do()
    assert caught.value.may_have_executed


def test_a_request_after_one_that_went_out_is_judged_by_itself() -> None:
    with ScriptedServer([cut(OK)]) as server, service_of(server, retries=0) as service:
        service.things.do()
        service.endpoint_url = "http://127.0.0.1:1/api/"
        with pytest.raises(sidefx.TransportError, match="refused") as caught:
            service.things.do()
    assert not caught.value.may_have_executed


def test_sending_is_held_to_the_seconds_between_bytes_and_not_to_those_for_connecting() -> None:
    def read_late(connection: Connection, request: Request) -> None:
        time.sleep(0.2)
        connection.read_body(request)
        connection.send(OK)

    with ScriptedServer([read_late]) as server, service_of(server, timeout=(0.05, 5)) as service:
        assert service.things.do(scene=bytes(64 * BLOCK)) == "done"
