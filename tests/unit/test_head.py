"""The head of an answer: nothing passes for one that is not, and what comes before the answer is not the answer."""

from __future__ import annotations

import pytest
from support.scripted import ScriptedServer, answer, cut, json_answer
from support.services import service_of

import sidefx_client as sidefx

FIRST = b"HTTP/1.1 200 OK\r\n"
CHUNKED = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}


@pytest.mark.parametrize("status", [100, 102, 103])
def test_what_is_said_before_the_answer_is_not_the_answer(status: int) -> None:
    before = answer(status, headers={"Content-Type": "application/octet-stream"}, framed=False)
    script = [before + before + json_answer("one"), json_answer("two")]
    with ScriptedServer(script) as server, service_of(server) as service:
        assert (service.things.do(), service.things.do()) == ("one", "two")
        assert server.connections == 1


@pytest.mark.parametrize("head", [FIRST[:-2], FIRST, FIRST + b"X: y\r\n", FIRST + b"X: y\r\nContent-Len"])
def test_a_head_that_was_cut_is_no_answer(head: bytes) -> None:
    with ScriptedServer([cut(head)]) as server, service_of(server) as service:
        with pytest.raises(sidefx.TransportError, match=r"before the response was complete|middle of a line"):
            service.things.do()


@pytest.mark.parametrize("line", [b"no header at all", b": no name", b"X: y\rZ: z"])
def test_a_line_that_is_no_header_hides_none(line: bytes) -> None:
    garbled = FIRST + line + b"\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]"
    with ScriptedServer([cut(garbled)]) as server, service_of(server) as service:
        with pytest.raises(sidefx.TransportError):
            service.things.do()


@pytest.mark.parametrize("coding", ["gzip, chunked", "gzip"])
def test_a_transfer_coding_that_nothing_undoes_is_no_answer(coding: str) -> None:
    stream = {"Content-Type": "application/octet-stream", "Transfer-Encoding": coding}
    in_chunks = answer(200, b"5\r\nbytes\r\n0\r\n\r\n", stream)
    with ScriptedServer([cut(in_chunks)]) as server, service_of(server) as service:
        with pytest.raises(sidefx.TransportError):
            service.things.do()


def test_the_empty_line_behind_the_last_chunk_may_be_missing() -> None:
    with ScriptedServer([cut(answer(200, b"4\r\n[12]\r\n0\r\n", CHUNKED))]) as server, service_of(server) as service:
        assert service.things.do() == [12]
