"""N11, N14, N15 and H12 to H14: heads, framing and codings that a server gets wrong."""

from __future__ import annotations

import contextlib
import gc
import gzip
import json
import socket
import threading
import time
import zlib
from typing import Any

import pytest
from support.case import Case
from support.scripted import Connection, Request, http_response, json_response, send_and_close
from support.systems import needs_proc

import sidefx_client as sidefx

JSON = {"Content-Type": "application/json"}
STREAM = {"Content-Type": "application/octet-stream"}
CHUNKED = {**JSON, "Transfer-Encoding": "chunked"}
VALUE = {"name": "x" * 100}
TEXT = json.dumps(VALUE).encode()
NEXT = json_response("next")

SURPLUS = {
    "small length": http_response(200, b"[1] [2]", {**JSON, "Content-Length": "3"}),
    "204 with a body": http_response(204, b"body", framed=False),
    "second response": json_response("one") + json_response("two"),
    "after the chunks": http_response(200, b"3\r\n[1]\r\n0\r\n\r\nmore", CHUNKED),
}


@pytest.mark.parametrize("sent", SURPLUS.values(), ids=SURPLUS)
def test_N11_surplus_bytes_end_the_connection(case: Case, tls: str | None, sent: bytes) -> None:
    server, service = case.serve([sent, NEXT], tls=tls)
    service.bugs.submit_issue(summary="x")
    assert service.bugs.submit_issue(summary="y") == "next"
    assert [request.connection for request in server.requests] == [1, 2]


@pytest.mark.parametrize("surplus", [b"\n", json_response("wrong"), b"x" * 20_000], ids=["line", "response", "block"])
def test_N11_surplus_bytes_between_two_calls_end_the_connection(case: Case, tls: str | None, surplus: bytes) -> None:
    received, sent = threading.Event(), threading.Event()

    def send_late(connection: Connection, request: Request) -> None:
        connection.read_body(request)
        connection.send(json_response("first"))
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # do not wait for the client's ACK
        received.wait(10)
        connection.send(surplus)
        sent.set()

    server, service = case.serve([send_late, NEXT], tls=tls)
    assert service.bugs.submit_issue(summary="x") == "first"
    received.set()
    assert sent.wait(10)
    assert service.bugs.submit_issue(summary="y") == "next"
    assert [request.connection for request in server.requests] == [1, 2]


def within_tls(case: Case, monkeypatch: pytest.MonkeyPatch, script: Any) -> tuple[Any, Any]:
    """Return a server for TLS, and a service that reaches it through a TLS connection to a proxy."""
    server = case.server(script, tls="wrong-name")  # valid for elsewhere.invalid

    def copy(read: Any, send: Any, to: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := read(1 << 16):
                send(data)
            socket.socket.shutdown(to, socket.SHUT_WR)

    def tunnel(connection: Connection, request: Request) -> None:
        with socket.create_connection(("127.0.0.1", server.port)) as target:
            connection.send(http_response(200, framed=False))
            connection.socket.settimeout(None)  # with a timeout, Python 3.9 sometimes waits 20 s
            up = threading.Thread(target=copy, args=(connection.read, target.sendall, target))
            up.start()
            copy(target.recv, connection.send, connection.socket)
            up.join()

    proxy = case.server([tunnel, tunnel], tls="good")
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    return server, case.service(endpoint_url="https://elsewhere.invalid/api/", ca_bundle=proxy.ca_bundle)


def test_N11_surplus_bytes_in_tls_within_tls_end_the_connection(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    script = [json_response("x" * 10_000) + json_response("wrong"), NEXT]
    server, service = within_tls(case, monkeypatch, script)
    assert service.bugs.submit_issue(summary="x") == "x" * 10_000
    assert service.bugs.submit_issue(summary="y") == "next"
    assert [request.connection for request in server.requests] == [1, 2]


def test_H14_tls_within_tls_needs_close_notify(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    def step(connection: Connection, request: Request) -> None:
        connection.send(http_response(200, b"1" * 1000, STREAM, framed=False))
        connection.finish(notify=False)

    _, service = within_tls(case, monkeypatch, [step])
    with service.things.do() as file, case.raises(sidefx.TransportError):
        file.read()


def test_N11_switching_protocols_raises_and_closes(case: Case) -> None:
    server, service = case.serve([http_response(101, framed=False), NEXT])
    with pytest.raises((sidefx.APIError, sidefx.TransportError)):
        service.bugs.submit_issue(summary="x")
    assert service.bugs.submit_issue(summary="y") == "next"
    assert [request.connection for request in server.requests] == [1, 2]


def endless(start: bytes, repeated: bytes) -> Any:
    def step(connection: Connection, request: Request) -> None:
        connection.read_body(request)
        connection.send(start)
        for _ in range(20_000):  # the client's close ends it earlier
            connection.send(repeated * 100)

    return step


HEADS = {
    "100s": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "103s": endless(b"", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"),
    "trailers": endless(http_response(200, b"3\r\n[1]\r\n0\r\n", CHUNKED), b"X-Trailer: 1\r\n"),
    "header lines": endless(b"HTTP/1.1 200 OK\r\n", b"X-Header: 1\r\n"),
}


@pytest.mark.parametrize("step", HEADS.values(), ids=HEADS)
def test_N14_endless_heads_and_trailers_raise_with_the_limit(case: Case, step: Any) -> None:
    start = time.monotonic()
    error, _ = case.failure([step], sidefx.TransportError, "more than [0-9]+|too many")
    assert time.monotonic() - start < 5
    assert error.may_have_executed


@pytest.mark.parametrize("location", ["https://elsewhere.invalid/", "http://[", "https://elsewhere.invalid/\xff"])
def test_N13_redirect_raises_at_once_and_its_body_is_not_read(case: Case, location: str) -> None:
    head = http_response(302, headers={"Location": location, "Transfer-Encoding": "chunked"})
    start = time.monotonic()
    error, _ = case.failure([endless(head, b"5\r\nmoved\r\n")], sidefx.APIError)
    assert time.monotonic() - start < 5
    assert error.http_code == 302


NO_DESCRIPTORS = """
import resource, sys
import sidefx_client as sidefx
service = sidefx.service(access_token="", endpoint_url=sys.argv[1], retries=0)
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
try:
    service.bugs.submit_issue()
except sidefx.TransportError as error:
    print(error, error.may_have_executed)
"""


@needs_proc
def test_N14_lack_of_file_descriptors_is_named(case: Case) -> None:
    server = case.server()
    done = case.python(NO_DESCRIPTORS, server.api_url)
    assert "descriptors" in done.stdout or "open files" in done.stdout
    assert done.stdout.endswith("False\n")


@pytest.mark.skipif(not hasattr(socket, "TCP_KEEPIDLE"), reason="reads TCP_KEEPIDLE")
def test_N15_connections_send_tcp_keepalive(case: Case, tls: str | None) -> None:
    server, service = case.serve(json_response("done"), tls=tls)
    service.bugs.submit_issue(summary="x")
    sockets = [thing for thing in gc.get_objects() if isinstance(thing, socket.socket) and thing.fileno() >= 0]
    (ours,) = (sock for sock in sockets if is_connected(sock, server.port))
    assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60


def is_connected(sock: socket.socket, port: int) -> bool:
    try:
        return bool(sock.getpeername()[1] == port)
    except OSError:
        return False


LENGTHS = {
    "huge": http_response(200, b"[1]", {**JSON, "Content-Length": "9" * 5000}),
    "chunk size -1": http_response(200, b"-1\r\n[1]\r\n0\r\n\r\n", CHUNKED),
    "chunk size -5": http_response(200, b"-5\r\n[1]\r\n0\r\n\r\n", CHUNKED),
    "different": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n[1]",
}


@pytest.mark.parametrize("sent", LENGTHS.values(), ids=LENGTHS)
def test_H12_absurd_lengths_raise_transport_error(case: Case, tls: str | None, sent: bytes) -> None:
    error, _ = case.failure([send_and_close(sent)], sidefx.TransportError, tls=tls)
    assert error.may_have_executed


CODING = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked \t\r\n"
GZIP, DEFLATE = {**JSON, "Content-Encoding": "gzip"}, {**JSON, "Content-Encoding": "deflate"}
ACCEPTED = {
    "H12 equal lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n[1]", [1]),
    "H12 list of equal lengths": (http_response(200, b"[1]", {**JSON, "Content-Length": "3, 3"}), [1]),
    "H12 length of a 204": (http_response(204, headers={"Content-Length": "5"}), None),
    "H12 chunked, blanks": (CODING + b"\r\n3\r\n[1]\r\n0\r\n\r\n", [1]),
    "H12 chunked, blanks, length": (CODING + b"Content-Length: 99\r\n\r\n3\r\n[1]\r\n0\r\n\r\n", [1]),
    **{
        f"H13 coding {coding!r}": (http_response(200, TEXT, {**JSON, "Content-Encoding": coding}), VALUE)
        for coding in ("none", "identity", "UTF-8", "binary", "")
    },
    **{
        f"N14 two interim responses {status}": (http_response(status, framed=False) * 2 + json_response("one"), "one")
        for status in (100, 102, 103)
    },
    "H13 gzip and zeros": (http_response(200, gzip.compress(TEXT) + b"\0" * 9, GZIP), VALUE),
    "H13 gzip and blanks": (http_response(200, gzip.compress(TEXT) + b" \r\n", GZIP), VALUE),
    "H13 x-gzip": (http_response(200, gzip.compress(TEXT), {**JSON, "Content-Encoding": " X-GZip "}), VALUE),
    "H13 two gzip files": (http_response(200, gzip.compress(TEXT[:9]) + gzip.compress(TEXT[9:]), GZIP), VALUE),
    "H13 deflate": (http_response(200, zlib.compress(TEXT), DEFLATE), VALUE),
    "H13 deflate without a header": (http_response(200, zlib.compress(TEXT)[2:-4], DEFLATE), VALUE),
    "H13 empty gzip": (http_response(200, b"", GZIP), None),
    "H13 empty gzip in chunks": (http_response(200, b"0\r\n\r\n", {**CHUNKED, **GZIP}), None),
}


@pytest.mark.parametrize(("sent", "value"), ACCEPTED.values(), ids=ACCEPTED)
def test_H12_harmless_framing_and_needless_codings_are_accepted(case: Case, sent: bytes, value: object) -> None:
    _, service = case.serve([sent, NEXT], timeout=5)
    assert service.bugs.submit_issue(summary="x") == value
    assert service.bugs.submit_issue(summary="y") == "next"


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "gzip, br"])
def test_H13_unrequested_codings_raise_transport_error(case: Case, coding: str) -> None:
    sent = http_response(200, TEXT, {**JSON, "Content-Encoding": coding})
    case.failure([sent], sidefx.TransportError, "unsupported Content-Encoding", function="things.get_all")


EMPTY = {"gzip": gzip.compress(b""), "deflate": zlib.compressobj(wbits=-15).flush(zlib.Z_FULL_FLUSH)}


@pytest.mark.parametrize("coding", EMPTY)
def test_H13_endless_empty_compressed_blocks_raise(case: Case, coding: str) -> None:
    first = b"2\r\nx\x9c\r\n" if coding == "deflate" else b""
    block = EMPTY[coding] * 2000
    head = http_response(200, first, {**CHUNKED, "Content-Encoding": coding})
    case.failure([endless(head, b"%x\r\n%s\r\n" % (len(block), block))], sidefx.TransportError)


@pytest.mark.parametrize("notified", [True, False], ids=["close_notify", "no close_notify"])
@pytest.mark.parametrize("headers", [STREAM, JSON], ids=["stream", "json"])
def test_H14_body_without_a_length_needs_close_notify(case: Case, headers: dict[str, str], notified: bool) -> None:
    def step(connection: Connection, request: Request) -> None:
        connection.read_body(request)
        connection.send(http_response(200, b"1" * 1000, headers, framed=False))
        connection.finish(notify=notified)

    server = case.server([step], tls="good")
    with contextlib.nullcontext() if notified else case.raises(sidefx.TransportError):
        result = case.service(server).things.do()
        if isinstance(result, sidefx.ResponseFile):
            with result:
                result.read()
