"""A: tokens that are rejected, expired or not available. For credentials and the cache see test_credentials.py."""

from __future__ import annotations

import io
import json
import os
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.case import CLIENT_SECRET, NEW_TOKEN, TOKEN, Case, check_object
from support.scripted import Connection, Request, http_response, json_response, token_response

import sidefx_client as sidefx

OK = json_response("done")
REFUSED = http_response(401, "token refused")


def by_token(connection: Connection, request: Request) -> None:
    """Send 200 for the new token, 401 for any other."""
    connection.read_body(request)
    connection.send(OK if request.header("Authorization") == f"Bearer {NEW_TOKEN}" else REFUSED)


def test_A1_401_is_retried_once_with_a_new_token(case: Case, tls: str | None) -> None:
    server = case.server(by_token, tokens=[token_response(TOKEN), token_response(NEW_TOKEN)], tls=tls)
    service = case.cold(server)
    assert [service.bugs.submit_issue(summary="x") for _ in range(2)] == ["done", "done"]
    assert (len(server.token_requests), len(server.api_requests)) == (2, 3)
    assert service.access_token == NEW_TOKEN


@pytest.mark.parametrize("function", ["bugs.submit_issue", "things.get_all"])
def test_A1_second_401_raises_api_error(case: Case, tls: str | None, function: str) -> None:
    error, server = case.failure(REFUSED, sidefx.APIError, "^401 token refused", tls=tls, function=function)
    assert error.http_code == 401
    assert (len(server.token_requests), len(server.api_requests)) == (1, 2)


def test_A1_late_401_for_an_older_token_keeps_the_newer_one(case: Case) -> None:
    late = threading.Event()

    def slowly_by_token(connection: Connection, request: Request) -> None:
        connection.read_body(request)
        if request.call[0] == "things.slow":
            late.wait(10)
        by_token(connection, request)

    server, service = case.serve(slowly_by_token, tokens=[token_response(NEW_TOKEN)])
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(service.things.slow)
        while not server.requests:
            time.sleep(0.001)
        assert service.bugs.submit_issue(summary="x") == "done"
        late.set()
        assert slow.result() == "done"
    assert len(server.token_requests) == 1


def test_A2_file_is_sent_again_from_its_start_after_401(case: Case, tls: str | None) -> None:
    content = os.urandom(100_000)
    server, service = case.serve(by_token, tokens=token_response(NEW_TOKEN), tls=tls)
    scene = sidefx.File(case.open(case.write("shot.hip", b"before" + content), at=6))
    assert service.bugs.submit_issue(scene=scene) == "done"
    first, second = server.api_requests
    assert content in first.body
    assert first.digest == second.digest


class Stream(io.BytesIO):
    """A file that cannot seek, like a pipe."""

    def seekable(self) -> bool:
        return False


def test_A2_unseekable_stream_is_not_sent_again_after_401(case: Case, tls: str | None) -> None:
    upload, words = sidefx.File(Stream(b"content"), size=7), "(?i)token refused(.|\n)*again"
    error, server = case.failure(by_token, sidefx.APIError, words, tls=tls, upload=upload)
    assert error.http_code == 401
    assert len(server.api_requests) == 1
    assert b"content" in server.api_requests[0].body


def test_A3_expired_token_is_refreshed_before_the_call(case: Case, tls: str | None) -> None:
    server = case.server(by_token, tokens=[token_response(TOKEN), token_response(NEW_TOKEN)], tls=tls)
    service = case.cold(server)
    service.access_token_expiry_time = time.time() - 1
    assert service.bugs.submit_issue(summary="x") == "done"
    assert (len(server.token_requests), len(server.api_requests)) == (2, 1)


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize("body", ["{}", '{{"error": "{}"}}', "<html><p>{}</p></html>"], ids=["text", "json", "html"])
def test_A4_rejected_credentials_raise_with_the_servers_message(
    case: Case, tls: str | None, status: int, body: str
) -> None:
    server = case.server(tokens=[http_response(status, body.format(f"{CLIENT_SECRET} is unknown"))], tls=tls)
    words = rf"^{status}: .*<redacted> is unknown.* \(the credentials are from arguments\)$"
    with case.raises(sidefx.AuthorizationError, match=words) as caught:
        case.cold(server)
    assert caught.value.http_code == status
    assert caught.value.message == str(caught.value)


@pytest.mark.parametrize(("status", "headers"), [(429, {"Retry-After": "0"}), (503, {})])
def test_A4_busy_token_endpoint_is_retried(case: Case, tls: str | None, status: int, headers: dict[str, str]) -> None:
    tokens = [token_response(TOKEN), http_response(status, "busy", headers), token_response(NEW_TOKEN)]
    server = case.server(OK, tokens=tokens, tls=tls)
    service = case.cold(server)
    service.access_token_expiry_time = 0
    assert service.bugs.submit_issue(summary="x") == "done"
    assert server.api_requests[0].header("Authorization") == f"Bearer {NEW_TOKEN}"


def test_A5_token_in_a_truncated_response_is_not_shown(case: Case) -> None:
    def cut_late(connection: Connection, request: Request) -> None:
        whole = token_response(TOKEN)
        connection.send(whole.replace(b"Content-Length: ", b"Content-Length: 9"), pause=0.1)
        connection.finish()

    server = case.server(tokens=cut_late)
    with case.raises(sidefx.TransportError):
        case.cold(server, retries=0)


UNUSABLE_LIFETIMES: tuple[object, ...] = (0, -5, "", "soon", True, [], {}, float("nan"))


def token_body(**fields: object) -> str:
    return json.dumps({"access_token": TOKEN, "expires_in": 3600, **fields})


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize(
    "body",
    [
        *(token_body(expires_in=lifetime) for lifetime in UNUSABLE_LIFETIMES),
        pytest.param(token_body(expires_in=10**400), id="10**400"),
        *(token_body(access_token=value) for value in ("", None, 5, [TOKEN], "two words", TOKEN + "\r\nX: y", "€")),
        '{"expires_in": 3600}',
        json.dumps([TOKEN]),
        "null",
        "",
        "<html>hello</html>",
        pytest.param("[" * 100_000, id="deep"),
        token_body()[:-9],
    ],
)
def test_A5_unusable_token_response_raises_authorization_error(case: Case, body: str) -> None:
    server = case.server(tokens=[http_response(200, body, {"Content-Type": "application/json"})])
    with case.raises(sidefx.AuthorizationError, match="^200: the endpoint gave no usable token"):
        case.cold(server)


@pytest.mark.parametrize("expiry", [None, 4e9])
def test_A10_given_token_is_used_until_it_is_rejected(case: Case, tls: str | None, expiry: float | None) -> None:
    given: dict[str, Any] = {"access_token_expiry_time": expiry}
    server, service = case.serve([OK, REFUSED, OK], tokens=[token_response(NEW_TOKEN)], tls=tls, **given)
    assert [service.bugs.submit_issue(summary="x") for _ in range(2)] == ["done", "done"]
    used = [request.header("Authorization") for request in server.api_requests]
    assert used == [f"Bearer {TOKEN}", f"Bearer {TOKEN}", f"Bearer {NEW_TOKEN}"]
    without: dict[str, Any] = {"client_id": None, "client_secret_key": None}
    _, server = case.failure(REFUSED, sidefx.APIError, "^401 token refused", **without, **given)
    assert len(server.api_requests) == len(server.requests) == 1


@pytest.mark.parametrize(
    "give",
    [
        lambda service, token: sidefx.service(access_token=token),
        lambda service, token: sidefx.Service("https://localhost/api/", token, None),
        lambda service, token: setattr(service, "access_token", token),
    ],
    ids=["service", "Service", "the attribute"],
)
@pytest.mark.parametrize("suffix", ["\n", " x", "€"])
def test_A10_token_that_a_header_cannot_carry_raises_config_error(case: Case, give: Any, suffix: str) -> None:
    service = case.service()
    with case.raises(sidefx.ConfigError, match="in one word"):
        give(service, TOKEN + suffix)


def test_A10_empty_token_sends_no_authorization_header(case: Case) -> None:
    server, service = case.serve([OK, REFUSED], tokens=[], access_token="", access_token_expiry_time=1)
    service.things.get_all()
    with case.raises(sidefx.APIError, match="^401 token refused"):
        service.things.get_all()
    assert [request.header("Authorization") for request in server.requests] == [None, None]


def test_A14_request_of_a_response_file_has_no_authorization(case: Case) -> None:
    stream = http_response(200, b"bytes", {"Content-Type": "application/octet-stream"})
    service = case.service(case.server([stream, stream]))
    with service.things.stream(scene=b"upload") as file:
        assert "Authorization" not in file.response.request.headers
        check_object(file.response)
        assert file.read() == b"bytes"
        check_object(file.response)
    response = service.things.stream(scene=b"upload").response  # not in the assertion, which would hold the file
    assert pickle.loads(pickle.dumps(response)).content == b"bytes"
