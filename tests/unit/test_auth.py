"""The access token: asked for once, kept until just before it expires, renewed once, given by a caller."""

from __future__ import annotations

import base64
import contextlib
import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.scripted import Connection, Request, ScriptedServer, answer, json_answer, stall, token_answer
from support.services import service_of

import sidefx_client as sidefx

OK = json_answer("done")
EXPIRED = answer(401, "expired")
COLD = {"access_token": None, "access_token_expiry_time": None}
THREADS = 16


def tokens_used(server: ScriptedServer) -> list[str]:
    return [(request.header("Authorization") or "").partition(" ")[2] for request in server.api_requests]


def counted(server: ScriptedServer) -> tuple[int, int]:
    """How many tokens were asked for, and how many calls came."""
    return len(server.token_requests), len(server.api_requests)


# Asking


def test_the_pair_goes_out_as_http_basic_in_an_empty_post() -> None:
    with ScriptedServer() as server, service_of(server, **COLD, client_id="Zoë", client_secret_key="p:w 雪"):
        (request,) = server.token_requests
        scheme, _, pair = (request.header("Authorization") or "").partition(" ")
        assert (request.method, request.path, request.body) == ("POST", "/oauth2/application_token", b"")
        assert scheme == "Basic"
        assert base64.b64decode(pair).decode() == "Zoë:p:w 雪"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/oauth2/token", b"grant_type=client_credentials"),
        ("/oauth2/token/", b"grant_type=client_credentials"),
        ("/oauth2/application_token", b""),
        ("/oauth2/application_token/", b""),
    ],
)
def test_a_grant_type_goes_to_standard_urls_only(path: str, body: bytes) -> None:
    with ScriptedServer() as server, service_of(server, **COLD, access_token_url=server.url + path):
        (request,) = server.requests
        assert request.body == body
        assert request.header("Content-Type") == "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (answer(403, "bad pair"), "403: bad pair (the credentials are from arguments)"),
        (json_answer({"error": "invalid_client"}, 401), "401: invalid_client (the credentials are from arguments)"),
        (answer(500, "Traceback:\noops"), "500: Traceback:\noops"),
        (answer(404), "404: Not Found (the server sent no message)"),
    ],
)
def test_a_refusal_is_told_in_the_endpoints_words_and_final(refusal: bytes, words: str) -> None:
    with ScriptedServer(tokens=[refusal]) as server, pytest.raises(sidefx.AuthorizationError) as caught:
        service_of(server, **COLD)
    assert (str(caught.value), caught.value.http_code) == (words, int(words[:3]))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"expires_in": 43200},
        {"access_token": "", "expires_in": 43200},
        {"access_token": 5, "expires_in": 43200},
        {"access_token": "se cret", "expires_in": 43200},
        {"access_token": "secret\n", "expires_in": 43200},
        {"access_token": "secret€", "expires_in": 43200},
        ["secret"],
        "secret",
        None,
    ],
)
def test_what_is_no_token_is_refused_and_not_shown(body: object) -> None:
    with ScriptedServer(tokens=[json_answer(body)]) as server, pytest.raises(sidefx.AuthorizationError) as caught:
        service_of(server, **COLD)
    assert str(caught.value) == "200: the endpoint gave no usable token: check access_token_url"
    assert caught.value.http_code == 200


# Its life


def due(expires_in: object) -> Any:
    """When a token with this lifetime is renewed, in seconds since the epoch."""
    with ScriptedServer(tokens=[token_answer("t", expires_in)]) as server, service_of(server, **COLD) as service:
        return service.access_token_expiry_time


@pytest.mark.parametrize(
    ("expires_in", "used_for"),
    [(43200, 43140), (600, 540), (100, 90), (0.5, 0.45), ("43200", 43140), ("3600.5", 3540.5), (10**30, 31535940)],
)
def test_the_margin_is_a_minute_or_a_tenth_of_a_short_life(expires_in: object, used_for: float) -> None:
    before = time.time()
    expiry = due(expires_in)
    assert before + used_for - 1e-3 <= expiry <= time.time() + used_for + 1e-3


def test_a_token_without_a_lifetime_is_used_until_it_is_refused() -> None:
    assert due(None) is None


@pytest.mark.parametrize("expires_in", [0, -5, "", "soon", True, [], {}, float("nan"), 10**400])
def test_a_lifetime_that_is_none_is_no_usable_token(expires_in: object) -> None:
    with pytest.raises(sidefx.AuthorizationError, match=r"^200: the endpoint gave no usable token"):
        due(expires_in)


def test_a_token_that_is_due_is_renewed_before_the_call() -> None:
    with ScriptedServer(OK, tokens=[token_answer("first"), token_answer("second")]) as server:
        with service_of(server, **COLD) as service:
            service.things.do()
            service.access_token_expiry_time = time.time() - 1
            service.things.do()
            service.things.do()
        assert tokens_used(server) == ["first", "second", "second"]
        assert counted(server) == (2, 3)


def test_a_401_is_healed_by_one_new_token_that_is_then_kept() -> None:
    with ScriptedServer([EXPIRED, OK, OK], tokens=[token_answer("new")]) as server, service_of(server) as service:
        assert service.things.do() == "done"
        assert service.things.do() == "done"
        assert service.access_token == "new"
        assert tokens_used(server) == ["given-token", "new", "new"]


def test_a_401_that_a_new_token_does_not_heal_is_an_api_error() -> None:
    with ScriptedServer(EXPIRED, tokens=token_answer("new")) as server, service_of(server) as service:
        with pytest.raises(sidefx.APIError, match=r"^401 expired$"):
            service.things.do()
        assert counted(server) == (1, 2)


def test_a_refusal_to_renew_is_an_authorization_error() -> None:
    with ScriptedServer([EXPIRED], tokens=[answer(403, "revoked")]) as server, service_of(server) as service:
        with pytest.raises(sidefx.AuthorizationError, match=r"^403: revoked \(the credentials are from arguments\)$"):
            service.things.do()


@pytest.mark.parametrize("arguments", [{}, {"data": "a stream that cannot seek"}], ids=["retries=0", "not rewound"])
def test_a_refused_token_is_replaced_by_the_next_call_where_its_own_is_not_sent_again(
    arguments: dict[str, str],
) -> None:
    def upload() -> dict[str, Any]:
        return {name: sidefx.File(Unseekable(b"data"), size=4) for name in arguments}

    with ScriptedServer([EXPIRED, OK, OK], tokens=[token_answer("new")]) as server:
        with service_of(server, retries=3 if arguments else 0) as service:
            with pytest.raises(sidefx.APIError, match=r"^401 expired"):
                service.things.do(**upload())
            service.things.do(**upload())
            service.things.do(**upload())
        assert tokens_used(server) == ["given-token", "new", "new"]


class Unseekable(io.BytesIO):
    def seekable(self) -> bool:
        return False


def test_a_token_that_expires_during_a_wait_is_renewed_before_the_call_is_sent_again() -> None:
    busy = answer(429, "busy", {"Retry-After": "1"})
    with ScriptedServer([busy, OK], tokens=[token_answer("short", 1), token_answer("new")]) as server:
        with service_of(server, **COLD) as service:
            assert service.things.do() == "done"
        assert tokens_used(server) == ["short", "new"]


# Many threads


def test_a_late_401_for_an_old_token_does_not_make_a_newer_refused_one_good() -> None:
    late = threading.Event()

    def void(connection: Connection, request: Request) -> None:
        connection.read_body(request)
        if request.call[0] == "a.slow":
            late.wait(10)
        good = request.call[0] == "a.warm" or request.header("Authorization") == "Bearer third"
        connection.send(OK if good else EXPIRED)

    tokens = [token_answer("second"), token_answer("third")]
    with ScriptedServer(void, tokens=tokens) as server, service_of(server, retries=0) as service:
        with ThreadPoolExecutor(1) as threads:
            slow = threads.submit(service.a.slow)
            while not server.api_requests:
                time.sleep(0.001)
            for call in (service.a.do, service.a.warm, service.a.do):  # refused, with the second, refused
                with contextlib.suppress(sidefx.APIError):
                    call()
            late.set()
            assert isinstance(slow.exception(), sidefx.APIError)
        assert service.a.do() == "done"
        assert tokens_used(server)[-2:] == ["second", "third"]


def test_a_token_that_is_set_while_another_is_fetched_stays() -> None:
    asked, answered = threading.Event(), threading.Event()

    def slowly(connection: Connection, request: Request) -> None:
        asked.set()
        answered.wait(10)
        connection.send(token_answer("fetched"))

    with ScriptedServer(OK, tokens=[slowly]) as server, service_of(server) as service:
        service.access_token_expiry_time = 0
        with ThreadPoolExecutor(1) as threads:
            call = threads.submit(service.things.do)
            asked.wait(10)
            service.access_token = "mine"
            answered.set()
            assert call.result() == "done"
        service.things.do()
        assert tokens_used(server) == ["mine", "mine"]


def test_a_patient_call_does_not_fail_with_the_timeout_of_an_impatient_one() -> None:
    def slowly(connection: Connection, request: Request) -> None:
        connection.read_body(request)
        time.sleep(0.5)
        connection.send(token_answer("new"))

    with ScriptedServer(OK, tokens=slowly) as server, service_of(server, timeout=10) as service:
        service.access_token_expiry_time = 0
        with ThreadPoolExecutor(2) as threads:
            hasty = threads.submit(sidefx.call, service, "things.do", timeout=0.1)
            while not server.token_requests:
                time.sleep(0.001)
            assert threads.submit(service.things.do).result() == "done"
            assert isinstance(hasty.exception(), sidefx.CallTimeout)


def test_threads_that_find_no_token_ask_for_one() -> None:
    with ScriptedServer(OK, tokens=[token_answer("first", 0.001), token_answer("second")]) as server:
        with service_of(server, **COLD) as service, ThreadPoolExecutor(THREADS) as threads:
            assert list(threads.map(lambda _: service.things.do(), range(THREADS))) == ["done"] * THREADS
        assert counted(server) == (2, THREADS)
        assert set(tokens_used(server)) == {"second"}


def test_threads_that_meet_a_401_together_renew_it_once() -> None:
    together = threading.Barrier(THREADS)

    def refuse_the_old_one(connection: Connection, request: Request) -> None:
        connection.read_body(request)
        old = request.header("Authorization") == "Bearer given-token"
        if old:
            together.wait(5)
        connection.send(EXPIRED if old else OK)

    with ScriptedServer(refuse_the_old_one, tokens=[token_answer("new")]) as server:
        with service_of(server) as service, ThreadPoolExecutor(THREADS) as threads:
            assert list(threads.map(lambda _: service.things.do(), range(THREADS))) == ["done"] * THREADS
        assert counted(server) == (1, 2 * THREADS)


def test_threads_that_wait_for_an_endpoint_that_is_down_fail_together() -> None:
    with ScriptedServer(tokens=stall) as server, service_of(server, timeout=0.5) as service:
        service.access_token_expiry_time = 0
        with ThreadPoolExecutor(THREADS) as threads:
            calls = [threads.submit(service.things.do) for _ in range(THREADS)]
        assert {type(call.exception()) for call in calls} == {sidefx.CallTimeout}
        assert counted(server) == (2, 0)  # one fetch, with one more try after its timeout


# A token that the caller gives


@pytest.mark.parametrize("expiry", [None, 4e9])
def test_a_given_token_is_used_with_or_without_an_expiry(expiry: float | None) -> None:
    with ScriptedServer(OK) as server, service_of(server, access_token_expiry_time=expiry) as service:
        assert (service.access_token, service.access_token_expiry_time) == ("given-token", expiry)
        service.things.do()
        assert tokens_used(server) == ["given-token"]
        assert counted(server) == (0, 1)


def test_a_given_token_that_has_expired_is_replaced_at_once() -> None:
    with ScriptedServer(tokens=[token_answer("new")]) as server:
        with service_of(server, access_token_expiry_time=time.time() - 1) as service:
            assert service.access_token == "new"


def test_a_given_token_without_credentials_is_not_renewed() -> None:
    with ScriptedServer([EXPIRED]) as server:
        with service_of(server, client_id=None, client_secret_key=None) as service:
            with pytest.raises(sidefx.APIError, match=r"^401 expired$"):
                service.things.do()
        assert counted(server) == (0, 1)


def test_a_given_token_that_expires_on_its_way_is_the_servers_to_judge() -> None:
    def late(connection: Connection, request: Request) -> None:
        connection.read_body(request)
        time.sleep(0.2)
        connection.send(EXPIRED)

    soon = {"access_token_expiry_time": time.time() + 0.1, "client_id": None, "client_secret_key": None}
    with ScriptedServer([late]) as server, service_of(server, **soon) as service:
        with pytest.raises(sidefx.APIError, match=r"^401 expired$"):
            service.things.do()


def test_an_empty_token_sends_no_header_and_is_never_replaced_by_one() -> None:
    with ScriptedServer([OK, EXPIRED]) as server, service_of(server, access_token="") as service:
        service.things.do()
        with pytest.raises(sidefx.APIError, match=r"^401 expired$"):
            service.things.do()
        assert [request.header("Authorization") for request in server.requests] == [None, None]


def test_an_empty_token_never_expires() -> None:
    with ScriptedServer(OK) as server:
        with service_of(server, access_token="", access_token_expiry_time=1) as service:
            service.things.do()
        assert counted(server) == (0, 1)


def test_a_token_that_is_taken_back_is_not_sent_again() -> None:
    with ScriptedServer(OK) as server, service_of(server) as service:
        service.things.do()
        service.access_token = ""
        service.things.do()
        assert [request.header("Authorization") for request in server.requests] == ["Bearer given-token", None]


def test_a_token_without_a_lifetime_is_not_kept_for_others(tmp_path: Path) -> None:
    with ScriptedServer(tokens=json_answer({"access_token": "t"})) as server:
        service_of(server, token_cache=tmp_path / "tokens", **COLD).close()
    assert not (tmp_path / "tokens").exists()


def test_a_stream_in_place_of_a_token_is_closed() -> None:
    with ScriptedServer(tokens=answer(200, b"bytes", {"Content-Type": "application/octet-stream"})) as server:
        with pytest.raises(sidefx.AuthorizationError, match="no usable token"):  # and no ResourceWarning
            service_of(server, **COLD)


def test_a_token_that_is_set_is_used_from_the_next_call_on() -> None:
    with ScriptedServer(OK, tokens=[token_answer("fetched")]) as server, service_of(server) as service:
        service.things.do()
        service.access_token = "set"
        service.things.do()
        service.access_token_expiry_time = time.time() - 1
        service.things.do()
        assert tokens_used(server) == ["given-token", "set", "fetched"]


def test_an_expiry_that_is_set_is_checked_as_a_given_one() -> None:
    with sidefx.service(access_token="token") as service:
        with pytest.raises(sidefx.ConfigError, match=r"^access_token_expiry_time must be"):
            service.access_token_expiry_time = "soon"  # type: ignore[assignment]
        assert service.access_token_expiry_time is None


@pytest.mark.parametrize("token", ["se cret", "secret\n", "secr€t", 5, b"secret"])
def test_a_given_token_that_no_header_can_carry_is_a_config_error(token: Any) -> None:
    with pytest.raises(sidefx.ConfigError, match=r"^access_token must be") as caught:
        sidefx.service(access_token=token)
    assert "secr" not in str(caught.value)


@pytest.mark.parametrize("expiry", ["soon", True, [1]])
def test_an_expiry_that_is_no_time_is_a_config_error(expiry: Any) -> None:
    with pytest.raises(sidefx.ConfigError, match=r"^access_token_expiry_time must be"):
        sidefx.service(access_token="token", access_token_expiry_time=expiry)
