"""Properties of responses: any split gives the value; a truncated or malformed one never gives a wrong value."""

from __future__ import annotations

import contextlib
import gzip
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from support.stage import VALUES, Stage, examples

import sidefx_client as sidefx

JSON_TYPES = ("application/json", 'Application/JSON; charset="UTF-8"', "application/problem+json", "")
STREAM_TYPES = ("application/octet-stream", "Application/Octet-Stream; x=y")


class Response(NamedTuple):
    """A response with its value. A truncation of the body before ``end`` loses data."""

    value: Any
    head: bytes
    body: bytes
    end: int

    @property
    def whole(self) -> bytes:
        return self.head + self.body


@st.composite
def responses(draw: st.DrawFn, framings: tuple[str, ...] = ("length", "chunked")) -> Response:
    value: Any = draw(VALUES | st.binary(max_size=400))
    if isinstance(value, bytes):
        body, media = value, draw(st.sampled_from(STREAM_TYPES))
    else:
        text = json.dumps(value)
        value = json.loads(text)  # JSON joins a pair of surrogates to one character
        body, media = text.encode(), draw(st.sampled_from(JSON_TYPES))
    lines = [f"Content-Type: {media}"] if media else []
    if draw(st.booleans()):
        body = gzip.compress(body, mtime=0)
        lines.append("Content-Encoding: gzip")
    framing = draw(st.sampled_from(framings))
    end = len(body)
    if framing == "length":
        lines.append(f"Content-Length: {len(body)}")
    elif framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
        body, end = draw(chunked(body))
    lines = draw(st.permutations(lines))
    return Response(value, "\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode(), body, end)


@st.composite
def chunked(draw: st.DrawFn, data: bytes) -> tuple[bytes, int]:
    """Return ``data`` in chunks by RFC 9112, section 7.1, and the position of the last chunk."""
    sent = b""
    for piece in _pieces(data, draw(st.lists(st.integers(0, len(data)), max_size=4))):
        size = draw(st.sampled_from(("{:x}", "{:X}", "{:06x}", "{:x};name=value"))).format(len(piece))
        sent += size.encode() + b"\r\n" + piece + b"\r\n" if piece else b""
    return sent + b"0\r\n" + draw(st.sampled_from((b"", b"X-Trailer: 1\r\n"))) + b"\r\n", len(sent) + 1


def _pieces(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    places = [0, *sorted(cuts), len(data)]
    for start, end in zip(places, places[1:]):
        yield data[start:end]


@pytest.fixture(scope="module", params=[None, "good"], ids=["plain", "tls"])
def each(request: pytest.FixtureRequest) -> Iterator[Stage]:
    with contextlib.closing(Stage(request.param)) as stage:
        yield stage


# Under TLS each piece is one record, so the client's reads end at the same places.
@examples(60)
@given(response=responses(("length", "chunked", "close")), data=st.data())
def test_response_split_into_any_pieces_gives_the_value(each: Stage, response: Response, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(response.whole)), max_size=8))
    framed = b"Content-Length" in response.head or b"Transfer-Encoding" in response.head
    each.respond(*_pieces(response.whole, cuts), ending="stay" if framed else "FIN", pause=0.0002)
    assert each.fetch() == response.value


# 17 bytes are the status line alone, which http.client accepts as an empty response.
@examples(150)
@given(response=responses(), ending=st.sampled_from(("FIN", "RST")), data=st.data())
@example(Response([], b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"[]", 2), "FIN", 17)
def test_truncated_response_raises_transport_error(
    stage: Stage, response: Response, ending: str, data: st.DataObject | int
) -> None:
    end = len(response.head) + response.end
    cut = data if isinstance(data, int) else data.draw(st.integers(0, end - 1) | st.integers(0, len(response.head) - 1))
    assume(cut < end)
    stage.respond(response.whole[:cut], ending=ending)
    with pytest.raises(sidefx.TransportError) as caught:
        stage.fetch()
    assert caught.value.may_have_executed
    if isinstance(data, int) or ending == "RST":
        return
    # After the last chunk only the end of the framing is missing.
    stage.respond(response.whole[: data.draw(st.integers(end, len(response.whole)))], ending="FIN")
    with contextlib.suppress(sidefx.TransportError):
        assert stage.fetch() == response.value


@pytest.mark.parametrize("line", [b"Content-Length 2", b"Transfer-Encoding: chunke", b"X: 1\rContent-Length: 2"])
def test_malformed_head_raises_transport_error(stage: Stage, line: bytes) -> None:
    stage.respond(b"HTTP/1.1 200 OK\r\n" + line + b"\r\nContent-Type: application/json\r\n\r\n[]", ending="FIN")
    with pytest.raises(sidefx.TransportError):
        stage.fetch()
