"""Tests of response bodies: framing, codings, sizes and charsets."""

from __future__ import annotations

import gzip
import zlib

import pytest
from support.responses import received
from support.scripted import http_response

import sidefx_client as sidefx
from sidefx_client.transport.response import ResponseBody, charset

DATA = bytes(range(256)) * 10
CHUNKED = {"Transfer-Encoding": "chunked"}
GZIP = {"Content-Encoding": "gzip"}


def chunks(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


WHOLE = {
    "a length": http_response(200, DATA),
    "chunks": http_response(200, chunks(DATA[:7], DATA[7:], b""), CHUNKED),
    "the end of the connection": http_response(200, DATA, framed=False),
    "gzip": http_response(200, gzip.compress(DATA), GZIP),
    "x-gzip": http_response(200, gzip.compress(DATA), {"Content-Encoding": " X-GZip "}),
    "zlib": http_response(200, zlib.compress(DATA), {"Content-Encoding": "deflate"}),
    "gzip in chunks": http_response(200, chunks(*gzip.compress(DATA).partition(b"\x08"), b""), {**CHUNKED, **GZIP}),
    "joined gzip files": http_response(200, gzip.compress(DATA[:99]) + gzip.compress(DATA[99:]), GZIP),
    "joined gzip files in chunks": http_response(
        200, chunks(gzip.compress(DATA[:100]), gzip.compress(DATA[100:]), b""), {**CHUNKED, **GZIP}
    ),
    "deflate without a header": http_response(200, zlib.compress(DATA)[2:-4], {"Content-Encoding": "deflate"}),
    "no coding": http_response(200, DATA, {"Content-Encoding": "identity"}),
    "more bytes than its length": http_response(200, DATA) + b"HTTP/1.1 200 OK\r\n",
    "chunks and a wrong length": http_response(200, chunks(DATA, b""), {"Content-Length": "3", **CHUNKED}),
}
CUT = {
    "a length": http_response(200, DATA, {"Content-Length": str(len(DATA) + 1)}),
    "no byte at all": http_response(200, b"", {"Content-Length": "1"}),
    "no last chunk": http_response(200, chunks(DATA), CHUNKED),
    "inside a chunk": http_response(200, chunks(DATA)[:-9], CHUNKED),
    "no chunk size": http_response(200, chunks(DATA) + b"nonsense\r\n", CHUNKED),
    "gzip in a whole frame": http_response(200, gzip.compress(DATA)[:-20], GZIP),
    "gzip without its checksum": http_response(200, gzip.compress(DATA)[:-8], GZIP),
    "no gzip at all": http_response(200, b"<html>" + DATA, GZIP),
    "a wrong checksum": http_response(200, gzip.compress(DATA)[:-8] + bytes(8), GZIP),
}


@pytest.mark.parametrize("framing", WHOLE)
@pytest.mark.parametrize("size", [1, 100, 1 << 20])
def test_body_is_read_in_any_steps(framing: str, size: int) -> None:
    with ResponseBody(received(WHOLE[framing])) as body:
        assert not body.finished
        assert b"".join(iter(lambda: body.read(size), b"")) == DATA
        assert body.finished
        assert body.read() == b""


@pytest.mark.parametrize("framing", CUT)
@pytest.mark.parametrize("size", [1, 100, 1 << 20])
def test_truncated_or_damaged_body_raises_every_time(framing: str, size: int) -> None:
    with ResponseBody(received(CUT[framing])) as body:
        for _ in range(2):
            with pytest.raises(sidefx.TransportError, match=r": https://www\.sidefx\.com$") as caught:
                list(iter(lambda: body.read(size), b""))
            assert caught.value.may_have_executed
        assert not body.finished


def test_read_of_a_compressed_body_returns_at_most_size_bytes() -> None:
    with ResponseBody(received(http_response(200, gzip.compress(bytes(5 << 20)), GZIP))) as body:
        assert all(len(body.read(1000)) <= 1000 for _ in range(50))


def test_unrequested_content_encoding_raises_with_its_beginning() -> None:
    with pytest.raises(sidefx.TransportError, match="unsupported Content-Encoding") as caught:
        ResponseBody(received(http_response(200, DATA, {"Content-Encoding": "br" + "," * 1000})))
    assert caught.value.permanent
    assert len(str(caught.value)) < 200


def test_body_can_be_read_undecoded() -> None:
    coded = gzip.compress(DATA)
    with ResponseBody(received(http_response(200, coded, GZIP)), decoded=False) as body:
        assert (body.size, body.read()) == (len(coded), coded)


SIZES = {"a length": len(DATA), "no coding": len(DATA)}


@pytest.mark.parametrize("framing", ["a length", "no coding", "chunks", "the end of the connection", "gzip"])
def test_size_is_the_decoded_length_if_known(framing: str) -> None:
    assert ResponseBody(received(WHOLE[framing])).size == SIZES.get(framing)


def test_body_is_a_readable_raw_io() -> None:
    body = ResponseBody(received(WHOLE["gzip"]))
    buffer = bytearray(10)
    assert body.readinto(buffer) == 10
    assert buffer + body.readall() == DATA
    body.close()


CHARSETS = {
    "": "utf-8-sig",
    "application/json": "utf-8-sig",
    "application/json; charset=utf-8": "utf-8-sig",
    'text/plain; charset="ISO-8859-1"': "iso8859-1",
    "text/plain; Charset=latin-1; x=y": "iso8859-1",
    "text/plain; charset=klingon": "utf-8-sig",
}


@pytest.mark.parametrize("media", CHARSETS)
def test_charset_is_the_named_one_or_utf_8(media: str) -> None:
    headers = {"Content-Type": media} if media else {}
    assert charset(received(http_response(200, headers=headers))) == CHARSETS[media]
