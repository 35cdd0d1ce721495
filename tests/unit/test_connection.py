"""Tests of connections: reuse and closing. See also N1 to N9."""

from __future__ import annotations

import threading

import pytest
from support.scripted import ScriptedServer, http_response, json_response, send_and_watch
from support.services import service_of

import sidefx_client as sidefx
from sidefx_client.transport.connection import BLOCK

OK = json_response("done")
STREAM = {"Content-Type": "application/octet-stream"}
CHUNKED = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}


def test_connection_is_reused_after_its_response_was_read() -> None:
    values = [http_response(200, b"4\r\n[12]\r\n0\r\n\r\n", CHUNKED), http_response(200), OK]
    script = [*values, http_response(422, "no"), http_response(200, b"bytes", STREAM), OK]
    with ScriptedServer(script) as server, service_of(server) as service:
        assert [service.things.do() for _ in values] == [[12], None, "done"]
        with pytest.raises(sidefx.APIError, match=r"^422 no$"):
            service.things.do()
        with service.things.do() as file:
            assert file.read() == b"bytes"
        assert service.things.do() == "done"
        assert server.connections == 1


GARBAGE = {"Content-Encoding": "gzip", "Content-Length": str(BLOCK + 1)}  # one byte is missing
UNREADABLE = {
    "an unknown coding": http_response(200, b"bytes", {**STREAM, "Content-Encoding": "br"}),
    "no length": http_response(200, b"bytes", {**STREAM, "Content-Length": "five"}),
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
