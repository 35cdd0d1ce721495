"""The connections: when one is used again, whether a byte of a request went out, and which timeout holds when."""

from __future__ import annotations

import time

import pytest
import requests
from scripted import Connection, Request, ScriptedServer, answer, cut, early, json_answer
from services import service_of

import sidefx_client as sidefx
from sidefx_client.adapter import Adapter
from sidefx_client.connection import BLOCK

OK = json_answer("done")


def used(server: ScriptedServer) -> list[int]:
    """The numbers of the connections on which the requests came."""
    return [request.connection for request in server.requests]


def test_a_connection_is_used_again_within_its_idle_limit_only() -> None:
    with ScriptedServer(OK) as server, requests.Session() as session:
        session.mount("http://", Adapter(idle_limit=0.1))
        with service_of(server, session=session) as service:
            service.things.do()
            service.things.do()
            time.sleep(0.15)
            service.things.do()
        assert used(server) == [1, 1, 2]


def test_a_connection_that_the_server_closed_is_replaced_unseen() -> None:
    with ScriptedServer([cut(OK), OK]) as server, service_of(server) as service:
        service.things.do()
        time.sleep(0.05)  # for the FIN to arrive
        service.things.do()
        assert used(server) == [1, 2]


def test_a_connection_on_which_a_request_was_cut_short_is_not_used_again() -> None:
    with ScriptedServer([early(answer(413, "too large")), OK]) as server, service_of(server) as service:
        with pytest.raises(sidefx.APIError, match="413 too large"):
            service.things.do(scene=bytes(64 * BLOCK))
        service.things.do()
        assert used(server) == [1, 2]


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
