"""Tests of response bodies: framing, codings, sizes and charsets."""

from __future__ import annotations

import gzip
import io
import zlib

import pytest
from support.responses import received, sample
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
@pytest.mark.parametrize("size", [1, 100, 1 << 20, -1, None])
def test_body_is_read_in_any_steps(framing: str, size: int | None) -> None:
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
    bomb = gzip.compress(bytes(5 << 20))
    with ResponseBody(received(http_response(200, bomb, GZIP))) as body:
        for _ in range(50):
            assert len(body.read(1000)) <= 1000


def test_empty_body_with_any_coding() -> None:
    assert ResponseBody(received(http_response(200, b"", GZIP))).read() == b""
    assert ResponseBody(received(http_response(200, chunks(b""), CHUNKED))).read() == b""


def test_body_ends_at_its_content_length() -> None:
    assert ResponseBody(received(http_response(200, DATA) + b"HTTP/1.1 200 OK\r\n")).read() == DATA


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "gzip,deflate", "br" + "," * 1000])
def test_unrequested_content_encoding_raises(coding: str) -> None:
    with pytest.raises(sidefx.TransportError, match="unsupported Content-Encoding") as caught:
        ResponseBody(received(http_response(200, DATA, {"Content-Encoding": coding})))
    assert caught.value.permanent
    assert len(str(caught.value)) < 200


def test_body_can_be_read_undecoded() -> None:
    coded = gzip.compress(DATA)
    with ResponseBody(received(http_response(200, coded, GZIP)), decoded=False) as body:
        assert body.size == len(coded)
        assert body.read() == coded


@pytest.mark.parametrize(
    ("framing", "size"),
    [
        ("a length", len(DATA)),
        ("no coding", len(DATA)),
        ("chunks", None),
        ("the end of the connection", None),
        ("gzip", None),
    ],
)
def test_size_is_the_decoded_length_if_known(framing: str, size: int | None) -> None:
    assert ResponseBody(received(WHOLE[framing])).size == size


@pytest.mark.parametrize("length", ["-1", "+5", "9" * 5000, "five", "0x5", "\xb2"])
def test_invalid_content_length_raises(length: str) -> None:
    with pytest.raises(sidefx.TransportError, match="invalid Content-Length"):
        ResponseBody(received(http_response(200, DATA, {"Content-Length": length})))


def test_chunked_framing_overrides_content_length() -> None:
    sent = http_response(200, chunks(DATA, b""), {"Content-Length": "3", **CHUNKED})
    assert ResponseBody(received(sent)).read() == DATA


def test_body_is_a_readable_raw_io() -> None:
    body = ResponseBody(received(WHOLE["gzip"]))
    assert isinstance(body, io.RawIOBase)
    assert (body.readable(), body.writable(), body.seekable()) == (True, False, False)
    buffer = bytearray(10)
    assert body.readinto(buffer) == 10
    assert buffer == DATA[:10]
    assert body.readall() == DATA[10:]
    body.close()
    with pytest.raises(ValueError, match="closed"):
        body.read(1)


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", "utf-8-sig"),
        ("application/json; charset=utf-8", "utf-8-sig"),
        ("application/json; charset=UTF8", "utf-8-sig"),
        ('text/plain; charset="ISO-8859-1"', "iso8859-1"),
        ("text/plain; Charset=latin-1; x=y", "iso8859-1"),
        ("text/plain; charset=klingon", "utf-8-sig"),
    ],
)
def test_charset_is_the_named_one_or_utf_8(content_type: str, expected: str) -> None:
    assert charset(received(http_response(200, b"", {"Content-Type": content_type}))) == expected


def test_charset_without_a_content_type_is_utf_8() -> None:
    assert charset(received(http_response(200))) == charset(sample("value.http")) == "utf-8-sig"
