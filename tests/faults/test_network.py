"""N: connections that fail before, during and after a request."""

from __future__ import annotations

import contextlib
import io
import socket
import ssl
import sys
import threading
import time
from typing import Any, Callable

import pytest
import requests
from support.case import ATTEMPTS, PROXY_PASSWORD, Case, check_error
from support.scripted import (
    Action,
    Connection,
    Greeting,
    Request,
    Step,
    http_response,
    json_response,
    send_and_close,
    send_before_body,
    stall,
)

import sidefx_client as sidefx
from sidefx_client.transport.adapter import Adapter

OK = json_response("done")


# CPython 3.11 does not close a socket that was reset before its TLS handshake.


def reset_after_hello(connection: Connection) -> None:
    connection.read()
    connection.reset()


def respond_and_reset(connection: Connection, request: Request) -> None:
    connection.read_body(request)
    connection.send(OK)
    time.sleep(0.05)  # otherwise the reset overtakes the response
    connection.reset()


@pytest.mark.parametrize(("function", "sendings"), [("bugs.submit_issue", 1), ("things.get_all", ATTEMPTS)])
def test_N1_dropped_call_is_retried_for_read_only_functions_only(
    case: Case, tls: str | None, function: str, sendings: int
) -> None:
    error, server = case.failure(send_and_close(), sidefx.TransportError, tls=tls, function=function)
    assert error.may_have_executed
    assert len(server.requests) == sendings


@pytest.mark.parametrize(("function", "read_only"), [("bugs.submit_issue", False), ("things.get_all", True)])
def test_N2_call_dropped_on_a_kept_alive_connection_is_retried_if_read_only(
    case: Case, tls: str | None, function: str, read_only: bool
) -> None:
    server, service = case.serve([OK, send_and_close(), OK], tls=tls)
    assert sidefx.call(service, function) == "done"
    if read_only:
        assert sidefx.call(service, function) == "done"
    else:
        with case.raises(sidefx.TransportError) as caught:
            sidefx.call(service, function)
        assert caught.value.may_have_executed
    assert [request.connection for request in server.requests] == ([1, 1, 2] if read_only else [1, 1])


@pytest.mark.parametrize("first", [send_and_close(OK), respond_and_reset], ids=["close", "reset"])
def test_N3_closed_idle_connection_is_replaced(case: Case, tls: str | None, first: Action) -> None:
    server, service = case.serve([first, OK], tls=tls)
    assert service.bugs.submit_issue(summary="first") == "done"
    time.sleep(0.1)  # wait until the end of the connection has arrived
    assert service.bugs.submit_issue(summary="second") == "done"
    assert [request.call[2]["summary"] for request in server.requests] == ["first", "second"]
    assert server.connections == 2


def test_N3_connection_idle_for_long_is_not_reused(case: Case) -> None:
    def slowly(connection: Connection, request: Request) -> None:
        connection.read_body(request)
        time.sleep(0.4)  # does not count as idle
        connection.send(OK)

    server = case.server([slowly, OK, OK])
    with requests.Session() as session:
        session.mount("http://", Adapter(idle_limit=0.3))
        service = case.service(server, session=session)
        for pause in (0, 0.4, 0):
            service.bugs.submit_issue(summary="x")
            time.sleep(pause)
    assert [request.connection for request in server.requests] == [1, 1, 2]


def test_N4_refused_connection_is_retried_then_raises(
    case: Case, tls: str | None, on_connect: Callable[[Callable[[Any], None]], None]
) -> None:
    server, service = case.serve([OK], tls=tls, listening=False)
    tried: list[Any] = []

    def up_for_the_third_of_the_second_call(address: Any) -> None:
        tried.append(address)
        if len(tried) == ATTEMPTS + 3:
            server.listen()

    on_connect(up_for_the_third_of_the_second_call)
    with case.raises(sidefx.TransportError, match=f"127.0.0.1:{server.port}") as caught:
        service.bugs.submit_issue(summary="x")
    assert not caught.value.may_have_executed
    assert "/api" not in str(caught.value)
    assert len(tried) == ATTEMPTS
    assert service.bugs.submit_issue(summary="x") == "done"
    assert (len(tried), len(server.requests)) == (ATTEMPTS + 3, 1)


def test_N5_unresolvable_host_raises_with_its_name(case: Case, connects: list[Any]) -> None:
    with case.raises(sidefx.TransportError, match="api.invalid") as caught:
        case.service(endpoint_url="https://api.invalid/api/").bugs.submit_issue(summary="x")
    assert not caught.value.may_have_executed
    assert connects == []


# CPython 3.11 does not close a socket that was reset before its TLS handshake.
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
@pytest.mark.parametrize("greeting", [Connection.close, Connection.reset, reset_after_hello])
def test_N5_failed_tls_handshake_is_retried_then_raises(case: Case, greeting: Greeting) -> None:
    server, service = case.serve([OK], tls="good", greetings=[greeting] * 3)
    assert service.bugs.submit_issue(summary="x") == "done"
    assert (server.connections, server.handshakes, len(server.requests)) == (4, 1, 1)
    server, service = case.serve(tls="good", greetings=[greeting] * ATTEMPTS)
    with case.raises(sidefx.TransportError) as caught:
        service.bugs.submit_issue(summary="x")
    assert not caught.value.may_have_executed
    assert (server.connections, server.handshakes, len(server.requests)) == (ATTEMPTS, 0, 0)


class Unread(io.BytesIO):
    """A file that must not be read."""

    def read(self, size: int | None = -1) -> bytes:
        assert size == 0, "the file was read"  # read(0) only shows if the file is binary
        return b""

    readinto = read1 = readline = read  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("self-signed", "self.signed"), ("wrong-name", "not valid for|match"), ("expired", "expired")],
)
def test_N6_bad_certificate_raises_before_the_upload_is_read(case: Case, kind: str, reason: str) -> None:
    with Unread(b"content") as file:
        error, server = case.failure((), sidefx.TransportError, reason, tls=kind, upload=sidefx.File(file))
        assert file.tell() == 0
    assert f"127.0.0.1:{server.port}" in str(error)
    assert not error.may_have_executed
    # Handshakes are not counted, because urllib3 1.26 checks the name after the handshake.
    assert (server.connections, len(server.requests)) == (1, 0)


@pytest.mark.parametrize("below_tls", [True, False], ids=["records", "bytes"])
def test_N7_garbage_response_is_not_retried(case: Case, tls: str | None, below_tls: bool) -> None:
    def garbage(connection: Connection, request: Request) -> None:
        connection.read_body(request)
        (connection.garble if below_tls else connection.send)(b"\x99garbage\r\n\r\n")
        connection.finish()

    error, server = case.failure(garbage, sidefx.TransportError, tls=tls)
    assert error.may_have_executed
    assert len(server.requests) == 1


def early(data: bytes, end: str = "close") -> Action:
    """Return a step that responds during the request body, and closes shortly after. The system then sends RST."""

    def step(connection: Connection, request: Request) -> None:
        connection.read_body(request, limit=1 << 16)
        connection.send(data)
        time.sleep(0.05)
        getattr(connection, end)()

    return step


LARGE = 64 << 20


@pytest.mark.parametrize("ending", [send_before_body, early])
def test_N8_response_before_the_body_is_read_is_the_result(
    case: Case, tls: str | None, ending: Callable[[bytes], Action]
) -> None:
    if ending is early and sys.platform != "linux":
        pytest.skip("a reset may discard the response here")
    scene = sidefx.File(case.sparse("shot.hip", LARGE))
    responses: list[Step] = [ending(http_response(413, "too large for us")), ending(http_response(401, "expired")), OK]
    server, service = case.serve(responses, tls=tls)
    with case.raises(sidefx.APIError, match="^413 too large for us"):
        service.bugs.submit_issue(scene=scene)
    assert len(server.requests) == 1
    assert service.bugs.submit_issue(scene=scene) == "done"
    assert (len(server.api_requests), len(server.token_requests)) == (3, 1)
    assert server.api_requests[2].length > LARGE


def test_N8_early_response_with_reset_does_not_repeat_the_upload(case: Case, tls: str | None) -> None:
    scene = case.sparse("shot.hip", LARGE)
    server, service = case.serve(early(http_response(413, "too large for us"), "reset"), tls=tls)
    with pytest.raises((sidefx.APIError, sidefx.TransportError)) as caught:
        service.bugs.submit_issue(scene=sidefx.File(scene))
    check_error(caught.value)
    assert getattr(caught.value, "http_code", 413) == 413
    assert getattr(caught.value, "may_have_executed", True)
    assert len(server.requests) == 1


def test_N8_broken_tls_connections_leave_others_of_their_thread_alone(case: Case) -> None:
    """OpenSSL 3.4 and newer: the errors of one connection stay in the thread's queue, and are raised by another."""
    whole, gone = {"Content-Type": "application/octet-stream", "Content-Length": str((1 << 20) + 4)}, threading.Event()

    def late(connection: Connection, request: Request) -> None:
        connection.read_body(request)
        connection.send(http_response(200, bytes(1 << 20), whole))
        gone.wait(20)
        time.sleep(0.1)  # the client waits already
        connection.send(b"last")

    def break_off(connection: Connection, request: Request) -> None:
        socket.socket.shutdown(connection.socket, socket.SHUT_WR)
        connection.reset()
        gone.set()

    def break_another() -> None:
        gone.clear()
        plain = socket.create_connection(("127.0.0.1", server.port))
        with ssl.create_default_context(cafile=server.ca_bundle).wrap_socket(
            plain, server_hostname="localhost"
        ) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert gone.wait(20)
            with contextlib.suppress(OSError):
                sock.recv(1)

    server, service = case.serve([late, late, break_off, break_off, late], tls="good")
    with service.things.stream() as response:
        assert response.read(1 << 20) == bytes(1 << 20)
        with service.things.stream():
            break_another()
        assert response.read() == b"last"
    break_another()
    with service.things.stream() as response:
        assert response.read() == bytes(1 << 20) + b"last"


@pytest.mark.parametrize(("function", "sendings"), [("bugs.submit_issue", 1), ("things.get_all", 2)])
def test_N9_silent_server_raises_call_timeout(case: Case, tls: str | None, function: str, sendings: int) -> None:
    start = time.monotonic()
    error, server = case.failure(stall, sidefx.CallTimeout, tls=tls, function=function, timeout=0.3)
    assert 0.3 * sendings <= time.monotonic() - start < 5
    assert error.may_have_executed
    assert len(server.requests) == sendings


def test_N9_server_that_stops_reading_an_upload_raises_call_timeout(case: Case, tls: str | None) -> None:
    def read_a_little(connection: Connection, request: Request) -> None:
        connection.read_body(request, limit=1 << 16)
        connection.stall()

    scene = sidefx.File(case.sparse("shot.hip", LARGE))
    timeout = (10, 0.3)  # the timeout to connect must not apply to sending
    start = time.monotonic()
    error, server = case.failure(read_a_little, sidefx.CallTimeout, tls=tls, timeout=timeout, upload=scene)
    assert 0.3 <= time.monotonic() - start < 5
    assert error.may_have_executed
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [403, 407])
@pytest.mark.parametrize("how", ["environment", "session"])
def test_N10_refusing_proxy_sees_only_host_and_port(
    case: Case, tls: str | None, monkeypatch: pytest.MonkeyPatch, status: int, how: str
) -> None:
    proxy = case.server(send_before_body(http_response(status, "no way", {"Connection": "close"})), tls=tls)
    url = proxy.url.replace("://", f"://someone:{PROXY_PASSWORD}@")
    with requests.Session() as session:
        options: dict[str, Any] = {"ca_bundle": proxy.ca_bundle}
        if how == "session":
            session.proxies, session.verify = {"https": url}, proxy.ca_bundle or True
            options = {"session": session}
        else:
            monkeypatch.setenv("HTTPS_PROXY", url)
        with case.raises(sidefx.TransportError, match=str(status)) as caught:
            case.service(endpoint_url="https://api.invalid/api/", **options).bugs.submit_issue(summary="x")
    assert not caught.value.may_have_executed
    assert [(request.method, request.path) for request in proxy.requests] == [("CONNECT", "api.invalid:443")]
    assert "Bearer" not in str([request.headers for request in proxy.requests])


def socks(connection: Connection) -> None:
    """Accept a SOCKS5 request for elsewhere.invalid:443. The server itself plays the destination."""
    assert connection.read(100) == b"\x05\x01\x00"
    connection.send(b"\x05\x00")
    assert connection.read(100) == b"\x05\x01\x00\x03\x11elsewhere.invalid\x01\xbb"
    connection.send(b"\x05\x00\x00\x01" + bytes(6))


def test_N12_socks_proxy_is_used_for_calls_and_downloads(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("socks", reason="PySocks is not installed")
    server = case.server([OK, OK], tls="wrong-name", greetings=[socks, socks])
    monkeypatch.setenv("HTTPS_PROXY", f"socks5h://127.0.0.1:{server.port}")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", server.ca_bundle or "")
    service = case.service(endpoint_url="https://elsewhere.invalid/api/")
    assert service.bugs.submit_issue(summary="x") == "done"
    path = sidefx.download_file("https://elsewhere.invalid/file", case.directory / "file")
    case.declared.add(path)
    assert path.read_bytes() == b'"done"'


@pytest.mark.parametrize(
    "proxy", ["socks://{}@127.0.0.1:1", "http://:{}", "ftp://a:{}@127.0.0.1:1", "http://:{}@", "http://"]
)
def test_N12_unusable_proxy_raises_config_error(
    case: Case, monkeypatch: pytest.MonkeyPatch, connects: list[Any], proxy: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.format(PROXY_PASSWORD))
    with case.raises(sidefx.ConfigError, match="HTTPS_PROXY"):
        case.service(endpoint_url="https://api.invalid/api/").bugs.submit_issue(summary="x")
    assert connects == []


WITHOUT_PYSOCKS = """
import sys
sys.modules["socks"] = None  # before requests looks for it
import sidefx_client as sidefx
try:
    sidefx.service(access_token="", endpoint_url="https://api.invalid/api/").bugs.submit_issue(summary="x")
except sidefx.ConfigError as error:
    print(error)
"""


def test_N12_socks_proxy_without_pysocks_raises_config_error(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = case.server()
    monkeypatch.setenv("HTTPS_PROXY", f"socks5://someone:{PROXY_PASSWORD}@127.0.0.1:{proxy.port}")
    assert "PySocks" in case.python(WITHOUT_PYSOCKS).stdout
    assert proxy.connections == 0


def test_N12_tls_to_a_plain_port_is_named(case: Case) -> None:
    def speak_http(connection: Connection) -> None:
        connection.read()
        connection.send(http_response(400))
        connection.close()

    words = "(?i)TLS|https"
    error, _ = case.failure((), sidefx.TransportError, words, tls="good", greetings=[speak_http], retries=0)
    assert not error.may_have_executed
