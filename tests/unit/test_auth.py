"""Tests of the token manager: requests, lifetimes, threads and given tokens. See also A1 to A5, A10 and C1."""

from __future__ import annotations

import base64
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.scripted import Connection, Request, ScriptedServer, http_response, json_response, stall, token_response
from support.services import service_of

import sidefx_client as sidefx

OK = json_response("done")
EXPIRED = http_response(401, "expired")
COLD = {"access_token": None, "access_token_expiry_time": None}


def tokens_used(server: ScriptedServer) -> list[str]:
    return [(request.header("Authorization") or "").partition(" ")[2] for request in server.api_requests]


# Asking


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/oauth2/token", b"grant_type=client_credentials"),
        ("/oauth2/token/", b"grant_type=client_credentials"),
        ("/oauth2/application_token", b""),
    ],
)
def test_token_request_has_http_basic_and_a_grant_type_for_standard_urls_only(path: str, body: bytes) -> None:
    pair: Any = {"client_id": "Zoë", "client_secret_key": "p:w 雪", **COLD}
    with ScriptedServer() as server, service_of(server, access_token_url=server.url + path, **pair):
        (request,) = server.requests
    assert (request.method, request.path, request.body) == ("POST", path, body)
    assert request.header("Content-Type") == "application/x-www-form-urlencoded"
    scheme, _, sent = (request.header("Authorization") or "").partition(" ")
    assert (scheme, base64.b64decode(sent).decode()) == ("Basic", "Zoë:p:w 雪")


# Its life


LIFETIMES = {43200: 43140, 600: 540, 100: 90, 0.5: 0.45, "43200": 43140, "3600.5": 3540.5, math.inf: 31535940}


@pytest.mark.parametrize(("expires_in", "used_for"), LIFETIMES.items())
def test_A5_token_is_refreshed_a_minute_or_a_tenth_of_its_lifetime_early(expires_in: object, used_for: float) -> None:
    before = time.time()
    with ScriptedServer(tokens=[token_response("t", expires_in)]) as server, service_of(server, **COLD) as service:
        expiry = service.access_token_expiry_time
    assert before + used_for - 1e-3 <= expiry <= time.time() + used_for + 1e-3


def test_A5_token_without_a_lifetime_is_used_until_it_is_rejected_and_not_cached(tmp_path: Path) -> None:
    cache = tmp_path / "tokens"
    with ScriptedServer([OK, EXPIRED, OK], tokens=json_response({"access_token": "t"})) as server:
        with service_of(server, token_cache=cache, **COLD) as service:
            assert service.access_token_expiry_time is None
            assert [service.things.do() for _ in range(2)] == ["done", "done"]
        assert len(server.token_requests) == 2
    assert not cache.exists()


def test_rejected_token_is_replaced_by_the_next_call() -> None:
    with ScriptedServer([EXPIRED, OK, OK], tokens=[token_response("new")]) as server:
        with service_of(server, retries=0) as service:
            with pytest.raises(sidefx.APIError, match=r"^401 expired"):
                service.things.do()
            service.things.do()
            service.things.do()
        assert tokens_used(server) == ["given-token", "new", "new"]


def test_token_that_expires_before_a_retry_is_refreshed() -> None:
    busy = http_response(429, "busy", {"Retry-After": "1"})
    with ScriptedServer([busy, OK], tokens=[token_response("short", 1), token_response("new")]) as server:
        with service_of(server, **COLD) as service:
            assert service.things.do() == "done"
        assert tokens_used(server) == ["short", "new"]


# Many threads


def test_token_set_during_a_refresh_is_kept() -> None:
    asked, released = threading.Event(), threading.Event()

    def slowly(connection: Connection, request: Request) -> None:
        asked.set()
        released.wait(10)
        connection.send(token_response("fetched"))

    with ScriptedServer(OK, tokens=[slowly]) as server, service_of(server) as service:
        service.access_token_expiry_time = 0
        with ThreadPoolExecutor(1) as threads:
            call = threads.submit(service.things.do)
            asked.wait(10)
            service.access_token = "mine"
            released.set()
            assert call.result() == "done"
        service.things.do()
        assert tokens_used(server) == ["mine", "mine"]


def test_waiting_thread_does_not_fail_with_the_timeout_of_another() -> None:
    def slowly(connection: Connection, request: Request) -> None:
        connection.read_body(request)
        time.sleep(0.5)
        connection.send(token_response("new"))

    with ScriptedServer(OK, tokens=slowly) as server, service_of(server, timeout=10) as service:
        service.access_token_expiry_time = 0
        with ThreadPoolExecutor(2) as threads:
            hasty = threads.submit(sidefx.call, service, "things.do", timeout=0.1)
            while not server.token_requests:
                time.sleep(0.001)
            assert threads.submit(service.things.do).result() == "done"
            assert isinstance(hasty.exception(), sidefx.CallTimeout)


def test_threads_waiting_for_one_token_request_share_its_failure() -> None:
    with ScriptedServer(tokens=stall) as server, service_of(server, timeout=0.5) as service:
        service.access_token_expiry_time = 0
        with ThreadPoolExecutor(16) as threads:
            calls = [threads.submit(service.things.do) for _ in range(16)]
        assert {type(call.exception()) for call in calls} == {sidefx.CallTimeout}
        assert len(server.requests) == 2  # one token request and its retry


# A token that the caller gives


def test_stream_as_a_token_response_is_closed() -> None:
    with ScriptedServer(tokens=http_response(200, b"bytes", {"Content-Type": "application/octet-stream"})) as server:
        with pytest.raises(sidefx.AuthorizationError, match="no usable token"):  # without a ResourceWarning
            service_of(server, **COLD)


def test_token_set_by_the_caller_is_used_by_the_next_call() -> None:
    tokens = [token_response("first"), token_response("fetched")]
    with ScriptedServer(OK, tokens=tokens) as server, service_of(server) as service:
        for token in (None, "set", ""):
            service.access_token = token
            service.things.do()
        service.access_token = "set"
        service.access_token_expiry_time = time.time() - 1
        service.things.do()
        assert tokens_used(server) == ["first", "set", "", "fetched"]


def test_invalid_expiry_cannot_be_set() -> None:
    with sidefx.service(access_token="token") as service:
        for expiry in ("soon", True, [1]):
            with pytest.raises(sidefx.ConfigError, match=r"^access_token_expiry_time must be"):
                service.access_token_expiry_time = expiry  # type: ignore[assignment]
        assert service.access_token_expiry_time is None
