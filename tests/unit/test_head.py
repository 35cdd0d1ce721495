"""Tests of response heads. For truncated and garbled heads see properties/test_responses.py."""

from __future__ import annotations

import pytest
from support.scripted import ScriptedServer, answer, cut, json_answer
from support.services import service_of

import sidefx_client as sidefx

CHUNKED = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}


@pytest.mark.parametrize("status", [100, 102, 103])
def test_interim_responses_are_skipped(status: int) -> None:
    before = answer(status, headers={"Content-Type": "application/octet-stream"}, framed=False)
    script = [before + before + json_answer("one"), json_answer("two")]
    with ScriptedServer(script) as server, service_of(server) as service:
        assert (service.things.do(), service.things.do()) == ("one", "two")
        assert server.connections == 1


@pytest.mark.parametrize("coding", ["gzip, chunked", "gzip"])
def test_unsupported_transfer_coding_raises(coding: str) -> None:
    stream = {"Content-Type": "application/octet-stream", "Transfer-Encoding": coding}
    in_chunks = answer(200, b"5\r\nbytes\r\n0\r\n\r\n", stream)
    with ScriptedServer([cut(in_chunks)]) as server, service_of(server) as service:
        with pytest.raises(sidefx.TransportError):
            service.things.do()


def test_empty_line_after_the_last_chunk_is_optional() -> None:
    with ScriptedServer([cut(answer(200, b"4\r\n[12]\r\n0\r\n", CHUNKED))]) as server, service_of(server) as service:
        assert service.things.do() == [12]
