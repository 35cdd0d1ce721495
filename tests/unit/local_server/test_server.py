"""LocalServer.service(), which is the only use of the client in the local server, ``port`` and scripted faults."""

from __future__ import annotations

import time

import pytest
import requests
from support.visitor import Visitor

import sidefx_client
from sidefx_client.testing import LocalServer

OPTIONS = "bugs.get_submission_options"


@pytest.mark.parametrize("tls", [False, True])
def test_service_uses_the_server_and_options_win(tls: bool) -> None:
    with LocalServer(tls=tls) as server:
        assert ("REQUESTS_CA_BUNDLE" in server.environment) == tls
        with server.service() as service:
            assert service.bugs.get_submission_options()
        with pytest.raises(sidefx_client.AuthorizationError, match="403: Invalid client"):
            server.service(client_secret_key="wrong", retries=0)


def test_without_authentication_the_service_does_not_request_a_token() -> None:
    with LocalServer(authenticate=False) as hserver:
        hserver.register("pull_cookies", lambda: "crumbs")
        with hserver.service() as service:
            assert sidefx_client.call(service, "pull_cookies") == "crumbs"
        assert hserver.token_requests == 0
        assert "Authorization" not in hserver.calls[0].headers


@pytest.mark.parametrize("function", [OPTIONS, "token"])
def test_retries_of_its_service_wait_only_if_waits_is_true(function: str) -> None:
    with LocalServer() as server:
        server.rate_limit(100, times=2, function=function)
        server.fail(503, function=function)
        start = time.monotonic()
        with server.service() as service:
            assert service.bugs.get_submission_options()
        assert time.monotonic() - start < 5
        assert server.requests == 5
        server.rate_limit(1, function=function)
        start = time.monotonic()
        with server.service(waits=True) as service:
            assert service.bugs.get_submission_options()
        assert time.monotonic() - start >= 1


def test_the_port_can_be_chosen() -> None:
    with LocalServer() as server:
        url = server.url
        with pytest.raises(OSError):
            LocalServer(port=int(url.rpartition(":")[2]))
    with LocalServer(port=int(url.rpartition(":")[2])) as server:
        assert server.url == url


# Scripted faults


def test_faults_apply_in_order_and_the_given_number_of_times(visitor: Visitor) -> None:
    visitor.server.fail(503, "Down for maintenance.", times=2)
    visitor.server.rate_limit(7)
    responses = [visitor.call(OPTIONS) for _ in range(4)]
    assert [response.status_code for response in responses] == [503, 503, 429, 200]
    assert (responses[0].text, responses[2].headers["Retry-After"]) == ("Down for maintenance.", "7")
    assert len(visitor.server.calls) == 4
    with pytest.raises(ValueError, match="times"):
        visitor.server.fail(500, times=0)


def test_a_fault_for_one_function_does_not_apply_to_others(visitor: Visitor) -> None:
    visitor.server.fail(500, function="a.b")
    visitor.server.fail(429, function="token", headers={"Retry-After": "1"})
    visitor.server.fail(404, function="download")
    assert [visitor.token().status_code, visitor.token().status_code] == [429, 200]
    url = visitor.offer()["download_url"]
    assert [visitor.get(url).status_code, visitor.get(url).status_code] == [404, 200]
    assert [visitor.call("a.b").status_code, visitor.call("a.b").status_code] == [500, 422]


@pytest.mark.parametrize("name", ["bugs.submit_isue", "tokens", "farm.get_jobs"])
def test_a_fault_for_a_mistyped_function_is_an_error(visitor: Visitor, name: str) -> None:
    visitor.server.register("farm.get_job", lambda: 1)
    with pytest.raises(ValueError, match=f"unknown function '{name}': did you mean "):
        visitor.server.drop(function=name)
    visitor.server.register(name, lambda: 2)
    visitor.server.fail(500, function=name)
    assert [visitor.call(name).status_code for _ in range(2)] == [500, 200]


@pytest.mark.parametrize("after_reading", [True, False])
def test_a_dropped_call_has_no_response(visitor: Visitor, after_reading: bool) -> None:
    visitor.token()
    visitor.server.drop(after_reading=after_reading)
    with pytest.raises(requests.ConnectionError):
        visitor.call(OPTIONS)
    assert len(visitor.server.calls) == int(after_reading)
    assert visitor.call(OPTIONS).status_code == 200
    with pytest.raises(ValueError, match="leave out function"):
        visitor.server.drop(function="a.b", after_reading=False)


def test_close_ends_a_delay_at_once(visitor: Visitor) -> None:
    visitor.server.delay(0.1)
    start = time.perf_counter()
    assert visitor.call(OPTIONS).status_code == 200
    assert time.perf_counter() - start >= 0.1
    visitor.server.delay(60)
    with pytest.raises(requests.ReadTimeout):
        visitor.post(visitor.server.endpoint_url, data={"json": '["a.b", [], {}]'}, timeout=0.1)
    start = time.perf_counter()
    visitor.server.close()
    assert time.perf_counter() - start < 0.5
