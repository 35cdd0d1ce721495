"""N: connections that fail, before, while and after a call is sent."""

from __future__ import annotations

import inspect
import io
import socket
import sys
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
    ScriptedServer,
    answer,
    cut,
    early,
    json_answer,
    stall,
)

import sidefx_client as sidefx
from sidefx_client.transport.adapter import Adapter

OK = json_answer("done")


def close(connection: Connection) -> None:
    connection.close()


def reset(connection: Connection) -> None:
    connection.reset()


def close_on_hello(connection: Connection) -> None:
    connection.read()
    connection.close()


def reset_on_hello(connection: Connection) -> None:
    connection.read()
    connection.reset()


# ssl.SSLSocket leaves a socket that was reset before its handshake to the garbage collector (CPython 3.11).
CUTS = [
    close,
    pytest.param(reset, marks=pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")),
    close_on_hello,
    reset_on_hello,
]


def answer_and_close(connection: Connection, request: Request) -> None:
    cut(OK)(connection, request)


def answer_and_reset(connection: Connection, request: Request) -> None:
    connection.read_body(request)
    connection.send(OK)
    time.sleep(0.05)  # else the reset overtakes the answer
    connection.reset()


def test_N1_a_post_that_was_read_and_dropped_is_never_sent_twice(case: Case, tls: str | None) -> None:
    with ScriptedServer(cut(), tls=tls) as server:
        service = case.service(server)
        with case.raises(sidefx.TransportError) as caught:
            service.bugs.submit_issue(summary="once")
        assert caught.value.may_have_executed
        assert len(server.requests) == 1


def test_N1_a_read_only_function_that_was_dropped_is_sent_four_times_at_most(case: Case, tls: str | None) -> None:
    with ScriptedServer(cut(), tls=tls) as server:
        with case.raises(sidefx.TransportError):
            case.service(server).things.get_all()
        assert len(server.requests) == ATTEMPTS


def test_N1_a_read_only_function_is_sent_until_it_is_answered(case: Case, tls: str | None) -> None:
    with ScriptedServer([cut(), cut(), cut(), OK], tls=tls) as server:
        assert case.service(server).things.get_all() == "done"


def test_N2_a_call_dropped_on_a_kept_connection_is_seen_once(case: Case, tls: str | None) -> None:
    with ScriptedServer([OK, cut()], tls=tls) as server:
        service = case.service(server)
        assert service.bugs.submit_issue(summary="first") == "done"
        with case.raises(sidefx.TransportError) as caught:
            service.bugs.submit_issue(summary="second")
        assert caught.value.may_have_executed
        assert [request.call[2]["summary"] for request in server.requests] == ["first", "second"]
        assert server.connections == 1


def test_N2_a_read_only_call_dropped_on_a_kept_connection_succeeds_on_a_fresh_one(case: Case, tls: str | None) -> None:
    with ScriptedServer([OK, cut(), OK], tls=tls) as server:
        service = case.service(server)
        assert service.things.get_all() == "done"
        assert service.things.get_all() == "done"
        assert [request.connection for request in server.requests] == [1, 1, 2]


@pytest.mark.parametrize("first", [answer_and_close, answer_and_reset])
def test_N3_an_idle_connection_that_the_server_closed_is_replaced_unseen(
    case: Case, tls: str | None, first: Action
) -> None:
    with ScriptedServer([first, OK], tls=tls) as server:
        service = case.service(server)
        assert service.bugs.submit_issue(summary="first") == "done"
        time.sleep(0.1)  # for the end of the connection to arrive
        assert service.bugs.submit_issue(summary="second") == "done"
        assert [request.call[2]["summary"] for request in server.requests] == ["first", "second"]
        assert server.connections == 2


def test_N3_a_connection_that_was_idle_for_long_is_not_used_again(case: Case) -> None:
    assert inspect.signature(Adapter).parameters["idle_limit"].default <= 30
    with ScriptedServer(OK) as server, requests.Session() as session:
        session.mount("http://", Adapter(idle_limit=0.1))
        service = case.service(server, session=session)
        service.bugs.submit_issue(summary="first")
        service.bugs.submit_issue(summary="at once")
        time.sleep(0.15)
        service.bugs.submit_issue(summary="later")
        assert [request.connection for request in server.requests] == [1, 1, 2]


def test_N4_refused_twice_and_then_up_is_a_success(
    case: Case, tls: str | None, on_connect: Callable[[Callable[[Any], None]], None]
) -> None:
    with ScriptedServer([OK], tls=tls, listening=False) as server:
        tried: list[Any] = []

        def up_for_the_third(address: Any) -> None:
            tried.append(address)
            if len(tried) == 3:
                server.listen()

        on_connect(up_for_the_third)
        assert case.service(server).bugs.submit_issue(summary="x") == "done"
        assert len(tried) == 3
        assert len(server.requests) == 1


def test_N4_refused_for_ever_is_told_after_four_connects(case: Case, tls: str | None, connects: list[Any]) -> None:
    with ScriptedServer(tls=tls, listening=False) as server:
        with case.raises(sidefx.TransportError, match=f"127.0.0.1:{server.port}") as caught:
            case.service(server).bugs.submit_issue(summary="x")
        assert not caught.value.may_have_executed
        assert "/api" not in str(caught.value)
        assert len(connects) == ATTEMPTS


def test_N5_a_name_that_does_not_resolve_is_told_as_that(case: Case, connects: list[Any]) -> None:
    service = case.service(access_token_url="https://api.invalid/token", endpoint_url="https://api.invalid/api/")
    with case.raises(sidefx.TransportError, match="api.invalid") as caught:
        service.bugs.submit_issue(summary="x")
    assert not caught.value.may_have_executed
    assert connects == []


@pytest.mark.parametrize("greeting", CUTS)
def test_N5_a_handshake_cut_before_the_request_executed_nothing(case: Case, greeting: Greeting) -> None:
    with ScriptedServer([OK], tls="good", greetings=[greeting] * ATTEMPTS) as server:
        with case.raises(sidefx.TransportError) as caught:
            case.service(server).bugs.submit_issue(summary="x")
        assert not caught.value.may_have_executed
        assert (server.connections, server.handshakes, len(server.requests)) == (ATTEMPTS, 0, 0)


@pytest.mark.parametrize("greeting", CUTS)
def test_N5_a_call_goes_out_once_a_handshake_holds(case: Case, greeting: Greeting) -> None:
    with ScriptedServer([OK], tls="good", greetings=[greeting] * 3) as server:
        assert case.service(server).bugs.submit_issue(summary="x") == "done"
        assert (server.connections, server.handshakes, len(server.requests)) == (4, 1, 1)


class Unread(io.BytesIO):
    """A file that nobody may read."""

    def read(self, size: int | None = -1) -> bytes:
        assert size == 0, "the file was read"  # a look at what kind of thing it reads is no reading
        return b""

    readinto = read1 = readline = read  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("self-signed", "self.signed"), ("wrong-name", "not valid for|match"), ("expired", "expired")],
)
def test_N6_a_bad_certificate_is_named_and_the_upload_is_not_read(case: Case, kind: str, reason: str) -> None:
    with ScriptedServer(tls=kind) as server, Unread(b"content") as file:
        with case.raises(sidefx.TransportError, match=reason) as caught:
            case.service(server).bugs.submit_issue(attachment=sidefx.File(file))
        assert f"127.0.0.1:{server.port}" in str(caught.value)
        assert not caught.value.may_have_executed
        # Not the handshakes: urllib3 1.26 looks at the name after a handshake that the server has seen succeed.
        assert (server.connections, len(server.requests)) == (1, 0)
        assert file.tell() == 0


def garbage_records(connection: Connection, request: Request) -> None:
    connection.read_body(request)
    connection.garble(b"\x99garbage beneath TLS\r\n\r\n")
    connection.finish()


def garbage_bytes(connection: Connection, request: Request) -> None:
    connection.read_body(request)
    connection.send(b"\x99garbage instead of HTTP\r\n\r\n")
    connection.finish()


@pytest.mark.parametrize("garbage", [garbage_records, garbage_bytes])
def test_N7_garbage_after_the_post_is_not_answered_with_a_second_post(
    case: Case, tls: str | None, garbage: Action
) -> None:
    with ScriptedServer(garbage, tls=tls) as server:
        with case.raises(sidefx.TransportError) as caught:
            case.service(server).bugs.submit_issue(summary="x")
        assert caught.value.may_have_executed
        assert len(server.requests) == 1


def early_and_gone(data: bytes) -> Action:
    """Answers while the body comes in, sends FIN and is gone: what comes after that is answered with RST."""

    def step(connection: Connection, request: Request) -> None:
        connection.read_body(request, limit=1 << 16)
        connection.send(data)
        socket.socket.shutdown(connection.socket, socket.SHUT_WR)
        time.sleep(0.05)
        connection.close()

    return step


def early_and_reset(data: bytes) -> Action:
    """Answers while the body comes in, and sends RST a little later."""

    def step(connection: Connection, request: Request) -> None:
        connection.read_body(request, limit=1 << 16)
        connection.send(data)
        time.sleep(0.05)
        connection.reset()

    return step


LARGE = 64 << 20
ENDINGS = pytest.mark.parametrize(
    "ending",
    [
        early,
        pytest.param(
            early_and_gone, marks=pytest.mark.skipif(sys.platform != "linux", reason="a reset may wipe the answer here")
        ),
    ],
)


@ENDINGS
def test_N8_a_413_before_the_body_is_read_is_seen(
    case: Case, tls: str | None, ending: Callable[[bytes], Action]
) -> None:
    scene = case.sparse("shot.hip", LARGE)
    with ScriptedServer(ending(answer(413, "too large for us")), tls=tls) as server:
        with case.raises(sidefx.APIError, match="too large for us") as caught:
            case.service(server).bugs.submit_issue(scene=sidefx.File(scene))
        assert caught.value.http_code == 413
        assert len(server.requests) == 1


@ENDINGS
def test_N8_a_401_before_the_body_is_read_refreshes_and_replays_once(
    case: Case, tls: str | None, ending: Callable[[bytes], Action]
) -> None:
    scene = case.sparse("shot.hip", LARGE)
    with ScriptedServer([ending(answer(401, "expired")), OK], tls=tls) as server:
        assert case.service(server).bugs.submit_issue(scene=sidefx.File(scene)) == "done"
        assert (len(server.api_requests), len(server.token_requests)) == (2, 1)
        assert server.api_requests[1].length > LARGE


def test_N8_an_early_answer_followed_by_a_reset_is_never_answered_with_a_second_upload(
    case: Case, tls: str | None
) -> None:
    scene = case.sparse("shot.hip", LARGE)
    with ScriptedServer(early_and_reset(answer(413, "too large for us")), tls=tls) as server:
        with pytest.raises((sidefx.APIError, sidefx.TransportError)) as caught:
            case.service(server).bugs.submit_issue(scene=sidefx.File(scene))
        check_error(caught.value)
        assert getattr(caught.value, "http_code", 413) == 413
        assert getattr(caught.value, "may_have_executed", True)
        assert len(server.requests) == 1


@pytest.mark.parametrize(("function", "sendings"), [("bugs.submit_issue", 1), ("things.get_all", 2)])
def test_N9_a_silent_server_is_a_timeout(case: Case, tls: str | None, function: str, sendings: int) -> None:
    with ScriptedServer(stall, tls=tls) as server:
        service = case.service(server, timeout=0.3)
        start = time.monotonic()
        with case.raises(sidefx.CallTimeout) as caught:
            sidefx.call(service, function)
        assert 0.3 * sendings <= time.monotonic() - start < 0.3 * sendings + 0.5
        assert caught.value.may_have_executed
        assert len(server.requests) == sendings


def test_N9_a_server_that_stops_reading_an_upload_is_a_timeout(case: Case, tls: str | None) -> None:
    def read_a_little(connection: Connection, request: Request) -> None:
        connection.read_body(request, limit=1 << 16)
        connection.stall()

    scene = case.sparse("shot.hip", LARGE)
    with ScriptedServer(read_a_little, tls=tls) as server:
        service = case.service(server, timeout=(10, 0.3))  # the time to connect is not the one to send
        start = time.monotonic()
        with case.raises(sidefx.CallTimeout) as caught:
            service.bugs.submit_issue(scene=sidefx.File(scene))
        assert 0.3 <= time.monotonic() - start < 1.5
        assert caught.value.may_have_executed
        assert len(server.requests) == 1


def test_N9_there_is_a_timeout_when_none_is_given(case: Case) -> None:
    connecting, silence = sidefx.DEFAULT_TIMEOUT
    assert 0 < connecting <= 60
    assert 0 < silence <= 600
    with ScriptedServer() as server:
        assert case.service(server).timeout == sidefx.DEFAULT_TIMEOUT


@pytest.mark.parametrize("status", [403, 407])
@pytest.mark.parametrize("how", ["environment", "session"])
def test_N10_a_proxy_that_refuses_saw_the_host_and_no_more(
    case: Case, tls: str | None, monkeypatch: pytest.MonkeyPatch, status: int, how: str
) -> None:
    with ScriptedServer(early(answer(status, "no way", {"Connection": "close"})), tls=tls) as proxy:
        url = proxy.url.replace("://", f"://someone:{PROXY_PASSWORD}@")
        options: dict[str, Any] = {"endpoint_url": "https://api.invalid/api/"}
        with requests.Session() as session:
            if how == "session":
                session.proxies = {"https": url}
                session.verify = proxy.ca_bundle or True
                options["session"] = session
            else:
                monkeypatch.setenv("HTTPS_PROXY", url)
                options["ca_bundle"] = proxy.ca_bundle
            with case.raises(sidefx.TransportError, match=str(status)) as caught:
                case.service(**options).bugs.submit_issue(summary="x")
        assert not caught.value.may_have_executed
        assert {(request.method, request.path) for request in proxy.requests} == {("CONNECT", "api.invalid:443")}
        assert "Bearer" not in str([request.headers for request in proxy.requests])
