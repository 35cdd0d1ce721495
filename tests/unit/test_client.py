"""The client: what a call needs, its timeout, what comes back from a caller's own files, and the end."""

from __future__ import annotations

import http.client
import io
import os
import pickle
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from support.scripted import Connection, Request, ScriptedServer, answer, json_answer, stall, token_answer
from support.services import service_of

import sidefx_client as sidefx
from sidefx_client.testing import LocalServer, Refusal

OK = json_answer("done")


def test_what_a_call_needs_beside_a_service_is_checked() -> None:
    with sidefx.Service("http://127.0.0.1:1/api", "", None) as service:
        wrong: list[tuple[Any, ...]] = [(None, "a.b"), (service, ""), (service, 5), (service, "a.b", "text")]
        for arguments in (*wrong, (service, "a.b", {1}), (service, "a.b", (), []), (service, "a.b", (), {1: 2})):
            with pytest.raises(TypeError):
                sidefx.call(*arguments)


# Its timeout


def test_a_call_may_have_a_timeout_of_its_own() -> None:
    with ScriptedServer(stall) as server, service_of(server) as service:
        started = time.monotonic()
        with pytest.raises(sidefx.CallTimeout):
            sidefx.call(service, "a.b", timeout=0.05)
        assert time.monotonic() - started < 1
        assert service.timeout == sidefx.DEFAULT_TIMEOUT
        service.timeout = 0.05
        with pytest.raises(sidefx.CallTimeout):
            service.a.b()
        with pytest.raises(sidefx.ConfigError, match="timeout must be"):
            service.timeout = 0
        assert service.timeout == 0.05


@pytest.mark.parametrize("expired", [True, False], ids=["expired", "refused"])
def test_the_timeout_of_a_call_holds_for_its_token_too(expired: bool) -> None:
    with ScriptedServer(answer(401), tokens=stall) as server, service_of(server) as service:
        service.access_token_expiry_time = 0 if expired else None
        with pytest.raises(sidefx.CallTimeout):
            sidefx.call(service, "a.b", timeout=0.05)
        assert len(server.api_requests) == (0 if expired else 1)


def test_retries_hold_for_a_token_too() -> None:
    with ScriptedServer(tokens=answer(503)) as server:
        with pytest.raises(sidefx.AuthorizationError, match="503"):
            service_of(server, access_token=None, retries=0)
        assert len(server.token_requests) == 1


@pytest.mark.parametrize("retries", [-1, 1.5, True, "3", None])
def test_retries_is_a_number(retries: Any) -> None:
    with pytest.raises(sidefx.ConfigError, match=r"^retries must be"):
        sidefx.service(access_token="", retries=retries)


# A caller's own files


ERRORS = [ValueError("mine"), ConnectionResetError("mine"), http.client.HTTPException("mine")]


@pytest.mark.parametrize("who", ["the file", "progress"])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_what_a_callers_file_or_progress_raises_comes_back_as_it_is(who: str, error: Exception) -> None:

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if size and who == "the file":
                raise error
            return super().read(size)

    def progress(done: int, total: int | None) -> None:
        if who == "progress":
            raise error

    with LocalServer() as server, server.service() as service:
        with pytest.raises(type(error)) as caught:
            service.a.b(scene=sidefx.File(Broken(b"content"), progress=progress))
        assert caught.value is error
        assert server.calls == []
        assert service.download.get_daily_builds_list("houdini")  # on a connection that nothing is left over on


def test_an_upload_that_cannot_be_read_twice_is_not_sent_twice() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"content")
    os.close(writing)
    with ScriptedServer([answer(429, "slow down")]) as server, open(reading, "rb", buffering=0) as pipe:
        with service_of(server) as service, pytest.raises(sidefx.RateLimitError, match=r"down .*was not sent again"):
            service.a.b(scene=sidefx.File(pipe, size=7))
        assert len(server.requests) == 1


# The end


def test_a_service_ends_with_its_block(sidefx_server: LocalServer) -> None:
    with sidefx_server.service() as service:
        assert service.bugs.get_submission_options()
    service.close()
    for use in (service.bugs.get_submission_options, service.__enter__):
        with pytest.raises(TypeError, match="this service is closed"):
            use()
    assert len(sidefx_server.calls) == 1


def test_closing_ends_a_wait(sidefx_server: LocalServer) -> None:
    sidefx_server.rate_limit(50)
    service = sidefx_server.service(waits=True)
    ending = threading.Timer(0.05, service.close)
    ending.start()
    started = time.monotonic()
    with pytest.raises(TypeError, match="this service is closed"):
        service.bugs.get_submission_options()
    assert time.monotonic() - started < 5
    ending.join()


def test_a_file_that_the_caller_closes_meanwhile_hides_nothing(tmp_path: Path) -> None:
    class Cancelled(Exception):
        pass

    def cancel(done: int, total: int | None) -> None:
        file.close()
        raise Cancelled

    file = (tmp_path / "file").open("w+b")
    file.write(b"content")
    file.seek(0)
    with ScriptedServer(OK) as server, service_of(server) as service, pytest.raises(Cancelled):
        service.things.do(scene=sidefx.File(file, progress=cancel))


def test_a_wrong_pair_is_told_once() -> None:
    with LocalServer() as server:
        with pytest.raises(sidefx.AuthorizationError, match=r"^403: Invalid client id"):
            server.service(client_secret_key="another")
        assert (server.token_requests, server.connections) == (1, 1)


def test_a_service_that_could_not_be_made_leaves_no_connection() -> None:
    left = threading.Event()

    def refuse(connection: Connection, request: Request) -> None:
        connection.send(answer(403, "no"))
        connection.read()  # returns when the client closes
        left.set()

    with ScriptedServer(tokens=[refuse]) as server:
        with pytest.raises(sidefx.AuthorizationError) as caught:
            service_of(server, access_token=None)
        assert caught.traceback  # whose frames hold all that was not closed
        assert left.wait(2)


def test_the_endpoint_can_be_changed() -> None:
    with LocalServer() as first, LocalServer(authenticate=False) as second, first.service() as service:
        service.endpoint_url = second.endpoint_url
        assert service.bugs.get_submission_options()
        with pytest.raises(sidefx.ConfigError):
            service.endpoint_url = "http://www.sidefx.com/api/"
        assert service.endpoint_url == second.endpoint_url
        assert (len(first.calls), len(second.calls)) == (0, 1)


def test_a_client_says_where_it_goes_and_cannot_be_pickled() -> None:
    with sidefx.Service("http://127.0.0.1:1/api", "secret", None) as service:
        assert repr(service._client) == "<Client of http://127.0.0.1:1/api>"
        with pytest.raises(TypeError, match="make one in each process"):
            pickle.dumps(service._client)


def test_a_refusal_leaves_the_connection_good(sidefx_server: LocalServer) -> None:
    def refuse() -> None:
        raise Refusal(422, "no")

    sidefx_server.register("a.b", refuse)
    with sidefx_server.service() as service:
        for _ in range(3):
            with pytest.raises(sidefx.APIError, match=r"^422 no$"):
                service.a.b()
    assert sidefx_server.connections == 1


def test_a_refusal_for_another_reason_suggests_no_function() -> None:
    with ScriptedServer(answer(403, "EULA not accepted")) as server, service_of(server) as service:
        with pytest.raises(
            sidefx.APIError,
            match=r"^403 EULA not accepted \(log in and accept it at https://www\.sidefx\.com/services/eula/\)$",
        ):
            service.download.get_daily_build_list("houdini")


def test_a_token_on_another_host_is_asked_for_there() -> None:
    with ScriptedServer(tokens=[token_answer("t")]) as tokens, ScriptedServer([OK]) as server:
        with service_of(server, access_token=None, access_token_url=tokens.token_url) as service:
            assert service.a.b() == "done"
        assert [request.header("Authorization") for request in server.requests] == ["Bearer t"]
        assert len(tokens.requests) == 1
