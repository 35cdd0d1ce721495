"""The responses that requests accepts and those that we accept. Each difference stands in a table."""

from __future__ import annotations

import gzip
import zlib
from typing import Any, Callable

import pytest
import requests
import urllib3
from support.scripted import Connection, Request, ScriptedServer
from support.services import service_of

import sidefx_client as sidefx

OLD = urllib3.__version__ < "2"  # type: ignore[attr-defined]
pytestmark = pytest.mark.skipif(OLD, reason="the table is about the newest requests and urllib3")

REFUSED = "refused"
BODY = b"hello"
TYPE = b"Content-Type: application/octet-stream\r\n"


def head(*lines: bytes, status: bytes = b"HTTP/1.1 200 OK", end: bytes = b"\r\n") -> bytes:
    return end.join([status, TYPE.strip(), *lines, b"", b""])


def framed(*lines: bytes, body: bytes = BODY, status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return head(*lines, b"Content-Length: %d" % len(body), status=status) + body


def chunked(body: bytes, coding: bytes = b"chunked") -> bytes:
    return head(b"Transfer-Encoding: " + coding) + body


def coded(coding: bytes, body: bytes) -> bytes:
    return framed(b"Content-Encoding: " + coding, body=body)


def interim(code: int, *, lines: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d Wait\r\n%s\r\n" % (code, lines) * 2 + framed()


GZIP = gzip.compress(BODY)
ZLIB = zlib.compress(BODY)
RAW = zlib.compressobj(wbits=-15).compress(b"") + ZLIB[2:-4]
CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"
TRANSFER_GZIP = b"%x\r\n%s\r\n0\r\n\r\n" % (len(GZIP), GZIP)

# Values, bodies and lines that name their responses.
LENGTHS = ("5", "  5  ", "005", "", "3", "6", "5, 5", "5, 6")
BAD_LENGTHS = ("+5", "-5", "five", "0x5", "5.0", "0_5", "9" * 5000)
SIZES = ("5;a=b", "0005", "5  ", "0x5", "+5", "-5", "-1", "five", "", "3")
CHUNKED_BODIES = (CHUNKS, b"5\nhello\n0\n\n", b"9\r\nhello", b"5\r\nhello\r\n", CHUNKS[:-2] + b"A: b\r\nC: d\r\n\r\n")
STATUS_LINES = (
    "HTTP/1.0 200 OK", "HTTP/2 200 OK", "http/1.1 200 OK", "HTTP/1.1 200", "HTTP/1.1 200 Ausf\xfchrung",
    "HTTP/1.1\t200\tOK", "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 +200 OK", "HTTP/1.1 fine OK", "ICY 200 OK",
)  # fmt: skip
HEADER_LINES = ("X: a\r\n b", "X: a\0b", "X: \xe4\x9b\xaa")
BAD_HEADER_LINES = ("X : y", "X", ": y", "X\x01: y")
TRUNCATED_HEADS = (b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n" + TYPE, b"HTTP/1.1 200 OK\r\n" + TYPE + b"X: y")

RESPONSES = {
    **{f"length {value:.20}": head(b"Content-Length: " + value.encode()) + BODY for value in LENGTHS + BAD_LENGTHS},
    "length missing": head() + BODY,
    "lengths that differ": head(b"Content-Length: 5", b"Content-Length: 6") + BODY,
    # Transfer-Encoding
    **{f"chunk of {size}": chunked(size.encode() + b"\r\nhello\r\n0\r\n\r\n") for size in SIZES},
    **{f"chunks {body!r}": chunked(body) for body in CHUNKED_BODIES},
    "identity": framed(b"Transfer-Encoding: identity"),
    "gzip, chunked": chunked(TRANSFER_GZIP, coding=b"gzip, chunked"),
    "transfer gzip": chunked(GZIP, coding=b"gzip"),
    "transfer unknown": chunked(BODY, coding=b"other"),
    # Content-Encoding
    **{f"coding {coding}": coded(coding.encode(), BODY) for coding in ("none", "identity", "UTF-8", "", "gzip")},
    **{coding: coded(coding.encode(), GZIP) for coding in ("gzip", "x-gzip", "GZIP", "gzip, identity")},
    "deflate": coded(b"deflate", ZLIB),
    "deflate without zlib's head": coded(b"deflate", RAW),
    "gzip labelled deflate": coded(b"deflate", GZIP),
    "gzip, gzip": coded(b"gzip, gzip", gzip.compress(GZIP)),
    "gzip twice as headers": head(b"Content-Encoding: gzip", b"Content-Encoding: gzip") + gzip.compress(GZIP),
    "empty body labelled gzip": coded(b"gzip", b""),
    "gzip and junk": coded(b"gzip", GZIP + b"junk"),
    "gzip in two members": coded(b"gzip", gzip.compress(b"he") + gzip.compress(b"llo")),
    "gzip with a truncated second member": coded(b"gzip", GZIP + GZIP[:-9]),
    "gzip truncated": coded(b"gzip", GZIP[:-9]),
    "gzip without its checksum": coded(b"gzip", GZIP[:-8]),
    "gzip with a wrong checksum": coded(b"gzip", GZIP[:-8] + bytes(8)),
    "deflate truncated": coded(b"deflate", ZLIB[:-5]),
    # Status lines and header lines
    **{line: framed(status=line.encode("latin-1")) for line in STATUS_LINES},
    **{repr(line): framed(line.encode("latin-1")) for line in HEADER_LINES + BAD_HEADER_LINES},
    **{repr(data): data for data in (b"", b"\x15\x03\x01\x00\x02\x02P", *TRUNCATED_HEADS)},
    "bare LF": head(b"Content-Length: 5", end=b"\n") + BODY,
    "line that begins with a blank": head(status=b"HTTP/1.1 200 OK\r\n X: y") + BODY,
    "lone CR": framed(b"X: a\rb"),
    "line of 70 KiB": framed(b"X: " + b"y" * 70 * 1024),
    # Interim responses
    "100": interim(100),
    "102": interim(102),
    "103": interim(103, lines=b"Link: </a>\r\n"),
}

TRUNCATED = ["gzip truncated", "gzip without its checksum", "deflate truncated", "gzip with a truncated second member"]
# The names of responses about which we differ, with our result. The README names the kinds.
DIFFERENCES: dict[str, object] = {
    # RFC 9112, 6.3: an error, because a truncated body could not be noticed
    **{f"length {value:.20}": REFUSED for value in BAD_LENGTHS},
    # RFC 9112, 6.1: the body would be passed on encoded
    **dict.fromkeys(("gzip, chunked", "transfer gzip", "transfer unknown"), REFUSED),
    # not requested, and stacked codings grow without limit
    **dict.fromkeys(("gzip, gzip", "gzip twice as headers"), REFUSED),
    # its first bytes tell the format
    "gzip labelled deflate": BODY,
    # a truncated response must not pass as complete
    **dict.fromkeys((*TRUNCATED, *map(repr, TRUNCATED_HEADS)), REFUSED),
    # not a header; http.client ignores the headers after most such lines
    **dict.fromkeys(("line that begins with a blank", *map(repr, BAD_HEADER_LINES)), REFUSED),
    # Python ends the line there and other readers do not: they see different headers
    "lone CR": REFUSED,
    # the response is the one that follows; http.client takes it for that of the next call
    **dict.fromkeys(("102", "103"), BODY),
    # the mark is not a part of the text, and JSON is UTF-8 (RFC 8259, 8.1)
    **{name: {"a": "ä"} for name in ("UTF-8 with a mark", "UTF-8 with a mark and a label", "text/html")},
}


def compare(name: str, sent: bytes, read_theirs: Callable[[Any], Any], read_ours: Callable[[Any], Any]) -> None:
    """Send the same response to requests and to us, close the connection, and compare the results."""

    def respond(connection: Connection, request: Request) -> None:
        connection.read_body(request)
        connection.send(sent)
        connection.finish()

    with ScriptedServer(respond) as server, requests.Session() as session, service_of(server, timeout=10) as service:
        session.trust_env = False
        try:
            theirs = read_theirs(session.post(server.api_url, data={"json": "x"}, timeout=10, allow_redirects=False))
        except (requests.RequestException, ValueError, LookupError):
            theirs = REFUSED
        try:
            ours = read_ours(service.things.do())
        except (sidefx.APIError, sidefx.TransportError):
            ours = REFUSED
    assert ours == DIFFERENCES.get(name, theirs), name
    assert (theirs != ours) == (name in DIFFERENCES), f"{name} does not differ any more"


def read_file(value: Any) -> bytes:
    with value as file:
        return bytes(file.read())


@pytest.mark.parametrize("name", RESPONSES)
def test_we_accept_the_responses_that_requests_accepts(name: str) -> None:
    compare(name, RESPONSES[name], lambda response: response.content if response.ok else REFUSED, read_file)


TEXT = '{"a": "ä"}'
JSON = "application/json"
TEXTS = {
    "UTF-8 text without a label": (JSON, "utf-8"),
    "UTF-8 text in quotes": (f'{JSON}; charset="UTF8"', "utf-8"),
    "UTF-8 with a mark": (JSON, "utf-8-sig"),
    "UTF-8 with a mark and a label": (f"{JSON}; charset=utf-8", "utf-8-sig"),
    "Latin-1 text": (f"{JSON}; charset=iso-8859-1", "latin-1"),
    "Latin-1 text with another label": (f"{JSON}; charset=utf-8", "latin-1"),
    "UTF-16 text without a label": (JSON, "utf-16"),
    "unknown charset": (f"{JSON}; charset=klingon", "utf-8"),
    "text/html": ("text/html", "utf-8"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_we_decode_the_json_that_requests_decodes(name: str) -> None:
    media, encoding = TEXTS[name]
    body = TEXT.encode(encoding)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {media}\r\nContent-Length: {len(body)}\r\n\r\n"
    compare(name, head.encode() + body, lambda response: response.json(), lambda value: value)


def test_every_difference_is_about_a_response_of_this_table() -> None:
    assert set(DIFFERENCES) <= {*RESPONSES, *TEXTS}
