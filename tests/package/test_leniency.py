"""The responses that requests accepts and those that we accept. Each difference stands in a table with its reason."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from typing import Any, Callable

import pytest
import requests
import urllib3
from support.scripted import Connection, Request, ScriptedServer
from support.services import service_of

import sidefx_client as sidefx
from sidefx_client.retry import retry_after

OLD = urllib3.__version__ < "2"  # type: ignore[attr-defined]
pytestmark = pytest.mark.skipif(OLD, reason="the table is about the newest requests and urllib3")

REFUSED = "refused"
BODY = b"hello"
TYPE = b"Content-Type: application/octet-stream\r\n"


def head(*lines: bytes, status: bytes = b"HTTP/1.1 200 OK", end: bytes = b"\r\n") -> bytes:
    return end.join([status, TYPE.strip(), *lines, b"", b""])


def lengths(*values: bytes) -> bytes:
    return head(*(b"Content-Length: " + value for value in values)) + BODY


def chunked(body: bytes, coding: bytes = b"chunked") -> bytes:
    return head(b"Transfer-Encoding: " + coding) + body


def coded(coding: bytes, body: bytes) -> bytes:
    return head(b"Content-Encoding: " + coding, b"Content-Length: %d" % len(body)) + body


def status(line: bytes) -> bytes:
    return head(b"Content-Length: 5", status=line) + BODY


def header(*lines: bytes) -> bytes:
    return head(*lines, b"Content-Length: 5") + BODY


def interim(code: int, *, count: int = 1, lines: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d Wait\r\n%s\r\n" % (code, lines) * count + lengths(b"5")


GZIP = gzip.compress(BODY)
ZLIB = zlib.compress(BODY)
RAW = zlib.compressobj(wbits=-15).compress(b"") + ZLIB[2:-4]
NAMED = gzip.compress(BODY)[:3] + b"\x08" + gzip.compress(BODY)[4:10] + b"name\0" + gzip.compress(BODY)[10:]

RESPONSES = {
    # Content-Length
    "length": lengths(b"5"),
    "length in blanks": lengths(b"  5  "),
    "length with zeros": lengths(b"005"),
    "length missing": head() + BODY,
    "length empty": lengths(b""),
    "length too small": lengths(b"3"),
    "length too large": lengths(b"6"),
    "length twice": lengths(b"5", b"5"),
    "length twice in a list": lengths(b"5, 5"),
    "lengths that differ": lengths(b"5", b"6"),
    "lengths that differ in a list": lengths(b"5, 6"),
    "length with a sign": lengths(b"+5"),
    "length below zero": lengths(b"-5"),
    "length in words": lengths(b"five"),
    "length in hex": lengths(b"0x5"),
    "length with a fraction": lengths(b"5.0"),
    "length with an underscore": lengths(b"0_5"),
    "length of 5,000 digits": lengths(b"9" * 5000),
    # Transfer-Encoding
    "chunks": chunked(b"5\r\nhello\r\n0\r\n\r\n"),
    "chunks in capitals": chunked(b"5\r\nhello\r\n0\r\n\r\n", b"Chunked"),
    "chunks and blanks": chunked(b"5\r\nhello\r\n0\r\n\r\n", b"chunked \t"),
    "chunks and a length": head(b"Transfer-Encoding: chunked", b"Content-Length: 3") + b"5\r\nhello\r\n0\r\n\r\n",
    "chunks twice": head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n\r\n",
    "identity": head(b"Transfer-Encoding: identity", b"Content-Length: 5") + BODY,
    "coding empty": head(b"Transfer-Encoding:", b"Content-Length: 5") + BODY,
    "gzip, chunked": chunked(b"%x\r\n%s\r\n0\r\n\r\n" % (len(GZIP), GZIP), b"gzip, chunked"),
    "transfer gzip": chunked(GZIP, b"gzip"),
    "transfer unknown": chunked(BODY, b"other"),
    # Chunks
    "chunk with an extension": chunked(b"5;a=b\r\nhello\r\n0\r\n\r\n"),
    "chunk with zeros": chunked(b"0005\r\nhello\r\n0000\r\n\r\n"),
    "chunk with blanks": chunked(b"5  \r\nhello\r\n0\r\n\r\n"),
    "chunks with bare LF": chunked(b"5\nhello\n0\n\n"),
    "chunk in capitals": chunked(b"A\r\nhellohello\r\n0\r\n\r\n"),
    "chunk with a prefix": chunked(b"0x5\r\nhello\r\n0\r\n\r\n"),
    "chunk with a sign": chunked(b"+5\r\nhello\r\n0\r\n\r\n"),
    "chunk below zero": chunked(b"-5\r\nhello\r\n0\r\n\r\n"),
    "chunk of -1": chunked(b"-1\r\nhello\r\n0\r\n\r\n"),
    "chunk in words": chunked(b"five\r\nhello\r\n0\r\n\r\n"),
    "chunk without a size": chunked(b"\r\nhello\r\n0\r\n\r\n"),
    "chunk longer than its size": chunked(b"3\r\nhello\r\n0\r\n\r\n"),
    "chunk truncated": chunked(b"9\r\nhello"),
    "no last chunk": chunked(b"5\r\nhello\r\n"),
    "no line after the last chunk": chunked(b"5\r\nhello\r\n0\r\n"),
    "trailers": chunked(b"5\r\nhello\r\n0\r\nA: b\r\nC: d\r\n\r\n"),
    # Content-Encoding
    "gzip": coded(b"gzip", GZIP),
    "x-gzip": coded(b"x-gzip", GZIP),
    "GZIP": coded(b"GZIP", GZIP),
    "deflate": coded(b"deflate", ZLIB),
    "deflate without zlib's head": coded(b"deflate", RAW),
    "gzip labelled deflate": coded(b"deflate", GZIP),
    "none": coded(b"none", BODY),
    "identity coding": coded(b"identity", BODY),
    "UTF-8": coded(b"UTF-8", BODY),
    "coding without a value": coded(b"", BODY),
    "gzip, gzip": coded(b"gzip, gzip", gzip.compress(GZIP)),
    "deflate, gzip": coded(b"deflate, gzip", gzip.compress(ZLIB)),
    "gzip twice as headers": head(b"Content-Encoding: gzip", b"Content-Encoding: gzip") + gzip.compress(GZIP),
    "gzip, identity": coded(b"gzip, identity", GZIP),
    "plain body labelled gzip": coded(b"gzip", BODY),
    "empty body labelled gzip": coded(b"gzip", b""),
    "empty chunks labelled gzip": head(b"Content-Encoding: gzip", b"Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "gzip with a name": coded(b"gzip", NAMED),
    "gzip and zeros": coded(b"gzip", GZIP + bytes(9)),
    "gzip and a line end": coded(b"gzip", GZIP + b"\r\n"),
    "gzip and junk": coded(b"gzip", GZIP + b"junk"),
    "gzip in two members": coded(b"gzip", gzip.compress(b"he") + gzip.compress(b"llo")),
    "gzip with a truncated second member": coded(b"gzip", GZIP + GZIP[:-9]),
    "gzip truncated": coded(b"gzip", GZIP[:-9]),
    "gzip without its checksum": coded(b"gzip", GZIP[:-8]),
    "gzip with a wrong checksum": coded(b"gzip", GZIP[:-8] + bytes(8)),
    "deflate truncated": coded(b"deflate", ZLIB[:-5]),
    "deflate with a wrong checksum": coded(b"deflate", ZLIB[:-4] + bytes(4)),
    # Status lines
    "HTTP/1.0": status(b"HTTP/1.0 200 OK"),
    "HTTP/2": status(b"HTTP/2 200 OK"),
    "HTTP/9.9": status(b"HTTP/9.9 200 OK"),
    "lower case": status(b"http/1.1 200 OK"),
    "no reason": status(b"HTTP/1.1 200"),
    "an empty reason": status(b"HTTP/1.1 200 "),
    "a reason in Latin-1": status(b"HTTP/1.1 200 Ausf\xfchrung"),
    "two blanks": status(b"HTTP/1.1  200 OK"),
    "a tab": status(b"HTTP/1.1\t200\tOK"),
    "status of two digits": status(b"HTTP/1.1 20 OK"),
    "status of four digits": status(b"HTTP/1.1 2000 OK"),
    "status with a sign": status(b"HTTP/1.1 +200 OK"),
    "status in words": status(b"HTTP/1.1 fine OK"),
    "another protocol": status(b"ICY 200 OK"),
    "an empty line first": b"\r\n" + lengths(b"5"),
    "no response": b"",
    "garbage": b"\x15\x03\x01\x00\x02\x02P",
    "bare LF": head(b"Content-Length: 5", end=b"\n") + BODY,
    # Header lines
    "blank before the colon": header(b"X : y"),
    "no colon": header(b"X"),
    "no name": header(b": y"),
    "folded line": header(b"X: a", b" b"),
    "line that begins with a blank": head(status=b"HTTP/1.1 200 OK\r\n X: y") + BODY,
    "lone CR": header(b"X: a\rb"),
    "NUL": header(b"X: a\0b"),
    "UTF-8 value": header("X: ä雪".encode()),
    "control character in a name": header(b"X\x01: y"),
    "100 lines": header(*(b"X: y" for _ in range(97))),
    "150 lines": header(*(b"X: y" for _ in range(150))),
    "line of 60 KiB": header(b"X: " + b"y" * 60 * 1024),
    "line of 70 KiB": header(b"X: " + b"y" * 70 * 1024),
    "truncated after the status": b"HTTP/1.1 200 OK\r\n",
    "truncated after a line": b"HTTP/1.1 200 OK\r\n" + TYPE,
    "truncated in a line": b"HTTP/1.1 200 OK\r\n" + TYPE + b"X: y",
    # Interim responses
    "100": interim(100),
    "three 100s": interim(100, count=3),
    "102": interim(102),
    "103": interim(103, lines=b"Link: </a>\r\n"),
}

DECODED = {"a": "ä"}
LENGTH = "RFC 9112, 6.3: an error, because a truncated body could not be noticed"
TRANSFER = "RFC 9112, 6.1: the body would be passed on encoded"
CODING = "not requested, and stacked codings grow without limit"
TRUNCATED = "a truncated response must not pass as complete"
LINE = "not a header; http.client ignores the headers after most such lines"
INTERIM = "the response is the one that follows; http.client takes it for that of the next call"
# The names of responses about which we differ: our result and the reason. The README names the kinds.
DIFFERENCES: dict[str, tuple[object, str]] = {
    **dict.fromkeys(("length with a sign", "length below zero", "length in words", "length in hex"), (REFUSED, LENGTH)),
    **dict.fromkeys(("length with a fraction", "length with an underscore"), (REFUSED, LENGTH)),
    "length of 5,000 digits": (REFUSED, LENGTH),
    **dict.fromkeys(("gzip, chunked", "transfer gzip", "transfer unknown"), (REFUSED, TRANSFER)),
    **dict.fromkeys(("gzip, gzip", "deflate, gzip", "gzip twice as headers"), (REFUSED, CODING)),
    "gzip labelled deflate": (BODY, "its first bytes tell the format"),
    **dict.fromkeys(("gzip truncated", "gzip without its checksum", "deflate truncated"), (REFUSED, TRUNCATED)),
    "gzip with a truncated second member": (REFUSED, TRUNCATED),
    **dict.fromkeys(
        ("truncated after the status", "truncated after a line", "truncated in a line"), (REFUSED, TRUNCATED)
    ),
    **dict.fromkeys(("blank before the colon", "no colon", "no name", "control character in a name"), (REFUSED, LINE)),
    "line that begins with a blank": (REFUSED, LINE),
    "lone CR": (REFUSED, "Python ends the line there and other readers do not: they see different headers"),
    **dict.fromkeys(("102", "103"), (BODY, INTERIM)),
    **dict.fromkeys(
        ("UTF-8 with a mark", "UTF-8 with a mark and a label"), (DECODED, "the mark is not a part of the text")
    ),
    "text/html": (DECODED, "JSON is UTF-8 (RFC 8259, 8.1)"),
    "Retry-After 7.5": (8.0, "a whole second is enough"),
    f"Retry-After {'9' * 20}": (None, "no date that far exists; our own backoff"),
}


class Comparison:
    """A server that sends one response to requests and to us, and ends the connection."""

    def __init__(self) -> None:
        self.sent = b""
        self.server = ScriptedServer(self._step)

    def _step(self, connection: Connection, request: Request) -> None:
        connection.read_body(request)
        connection.send(self.sent)
        connection.finish()

    def theirs(self, read: Callable[[requests.Response], Any]) -> object:
        try:
            with requests.Session() as session:
                session.trust_env = False
                return read(session.post(self.server.api_url, data={"json": "x"}, timeout=10, allow_redirects=False))
        except (requests.RequestException, ValueError, LookupError):
            return REFUSED

    def ours(self, read: Callable[[Any], Any] = lambda value: value) -> object:
        with service_of(self.server, timeout=10) as service:
            try:
                return read(service.things.do())
            except (sidefx.APIError, sidefx.TransportError):
                return REFUSED


@pytest.fixture(scope="module")
def comparison() -> Iterator[Comparison]:
    comparison = Comparison()
    yield comparison
    comparison.server.__exit__(None, None, None)


def read_file(value: Any) -> bytes:
    with value as file:
        return bytes(file.read())


@pytest.mark.parametrize("name", RESPONSES)
def test_we_accept_the_responses_that_requests_accepts(comparison: Comparison, name: str) -> None:
    comparison.sent = RESPONSES[name]
    theirs = comparison.theirs(lambda response: response.content if response.ok else REFUSED)
    compare(name, comparison.ours(read_file), theirs)


def compare(name: str, ours: object, theirs: object) -> None:
    if name in DIFFERENCES:
        assert ours == DIFFERENCES[name][0]
        assert theirs != ours, f"{name} does not differ any more"
    else:
        assert ours == theirs, name


TEXT = '{"a": "ä"}'
TEXTS = {
    "UTF-8 text": ("application/json; charset=utf-8", TEXT.encode()),
    "UTF-8 text without a label": ("application/json", TEXT.encode()),
    "UTF-8 text in quotes": ('application/json; charset="UTF8"', TEXT.encode()),
    "UTF-8 with a mark": ("application/json", TEXT.encode("utf-8-sig")),
    "UTF-8 with a mark and a label": ("application/json; charset=utf-8", TEXT.encode("utf-8-sig")),
    "Latin-1 text": ("application/json; charset=iso-8859-1", TEXT.encode("latin-1")),
    "Latin-1 text without a label": ("application/json", TEXT.encode("latin-1")),
    "Latin-1 text with another label": ("application/json; charset=utf-8", TEXT.encode("latin-1")),
    "UTF-16 text": ("application/json; charset=utf-16", TEXT.encode("utf-16")),
    "UTF-16 text without a label": ("application/json", TEXT.encode("utf-16")),
    "unknown charset": ("application/json; charset=klingon", TEXT.encode()),
    "charset without a value": ("application/json; charset=", TEXT.encode()),
    "charset that is no text": ("application/json; charset=hex", TEXT.encode()),
    "text/html": ("text/html", TEXT.encode()),
    "no type": ("", TEXT.encode()),
}


@pytest.mark.parametrize("name", TEXTS)
def test_we_decode_the_json_that_requests_decodes(comparison: Comparison, name: str) -> None:
    media, body = TEXTS[name]
    comparison.sent = f"HTTP/1.1 200 OK\r\nContent-Type: {media}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    compare(name, comparison.ours(), comparison.theirs(lambda response: response.json()))


WAITS = ["0", "7", " 7 ", "007", "7.5", "-5", "+5", "soon", "", "1e3", "Sat, 01 Nov 2025 10:00:00 GMT", "9" * 20]


@pytest.mark.parametrize("header", WAITS)
def test_we_accept_the_retry_after_that_urllib3_accepts(header: str) -> None:
    try:
        theirs = urllib3.Retry().parse_retry_after(header)
    except (urllib3.exceptions.InvalidHeader, OverflowError):
        theirs = None
    ours = retry_after({"Retry-After": header})
    if f"Retry-After {header}" in DIFFERENCES:
        assert ours == DIFFERENCES[f"Retry-After {header}"][0]
        assert ours != theirs
    else:
        assert ours == theirs


def test_every_difference_is_about_a_response_of_this_table() -> None:
    assert set(DIFFERENCES) <= {*RESPONSES, *TEXTS, *(f"Retry-After {header}" for header in WAITS)}
