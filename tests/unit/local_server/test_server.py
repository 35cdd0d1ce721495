"""Tests of LocalServer.service(), the only use of the client in the local server, and of ``port``."""

from __future__ import annotations

import time

import pytest

import sidefx_client
from sidefx_client.testing import LocalServer


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


@pytest.mark.parametrize("function", ["bugs.get_submission_options", "token"])
def test_retries_of_its_service_wait_only_on_request(function: str) -> None:
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
