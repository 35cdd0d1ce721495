"""Tests of response heads. For truncated and garbled heads see properties/test_responses.py."""

from __future__ import annotations

import pytest
from support.scripted import ScriptedServer, http_response, json_response, send_and_close
from support.services import service_of

import sidefx_client as sidefx

CHUNKED = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}


@pytest.mark.parametrize("status", [100, 102, 103])
def test_interim_responses_are_skipped(status: int) -> None:
    before = http_response(status, headers={"Content-Type": "application/octet-stream"}, framed=False)
    script = [before + before + json_response("one"), json_response("two")]
    with ScriptedServer(script) as server, service_of(server) as service:
        assert (service.things.do(), service.things.do()) == ("one", "two")
        assert server.connections == 1


@pytest.mark.parametrize("coding", ["gzip, chunked", "gzip"])
def test_unsupported_transfer_coding_raises(coding: str) -> None:
    stream = {"Content-Type": "application/octet-stream", "Transfer-Encoding": coding}
    in_chunks = http_response(200, b"5\r\nbytes\r\n0\r\n\r\n", stream)
    with ScriptedServer([send_and_close(in_chunks)]) as server, service_of(server) as service:
        with pytest.raises(sidefx.TransportError):
            service.things.do()


def test_empty_line_after_the_last_chunk_is_optional() -> None:
    with (
        ScriptedServer([send_and_close(http_response(200, b"4\r\n[12]\r\n0\r\n", CHUNKED))]) as server,
        service_of(server) as service,
    ):
        assert service.things.do() == [12]
