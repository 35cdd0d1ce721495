"""Tests of Client: arguments, timeouts and closing."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from support.scripted import ScriptedServer, http_response, send_and_watch, stall
from support.services import service_of

import sidefx_client as sidefx
from sidefx_client.testing import LocalServer


def test_call_checks_the_types_of_its_arguments() -> None:
    with sidefx.Service("http://127.0.0.1:1/api", "", None) as service:
        wrong: list[tuple[Any, ...]] = [(None, "a.b"), (service, ""), (service, 5), (service, "a.b", "text")]
        for arguments in (*wrong, (service, "a.b", {1}), (service, "a.b", (), []), (service, "a.b", (), {1: 2})):
            with pytest.raises(TypeError):
                sidefx.call(*arguments)


# Its timeout


def test_call_timeout_replaces_the_services_timeout() -> None:
    assert sidefx.DEFAULT_TIMEOUT == (10, 300)
    with ScriptedServer(stall) as server, service_of(server) as service:
        started = time.monotonic()
        with pytest.raises(sidefx.CallTimeout):
            sidefx.call(service, "a.b", timeout=0.05)
        assert time.monotonic() - started < 1
        assert service.timeout == sidefx.DEFAULT_TIMEOUT
        service.timeout = 0.05
        with pytest.raises(sidefx.CallTimeout):
            service.a.b()
        service.timeout = 0
        with pytest.raises(sidefx.ConfigError, match="timeout must be"):
            service.a.b()


@pytest.mark.parametrize("expired", [True, False], ids=["expired", "refused"])
def test_call_timeout_applies_to_its_token_request(expired: bool) -> None:
    with ScriptedServer(http_response(401), tokens=stall) as server, service_of(server) as service:
        service.access_token_expiry_time = 0 if expired else None
        with pytest.raises(sidefx.CallTimeout):
            sidefx.call(service, "a.b", timeout=0.05)
        assert len(server.api_requests) == (0 if expired else 1)


def test_retries_apply_to_token_requests() -> None:
    with ScriptedServer(tokens=http_response(503)) as server:
        with pytest.raises(sidefx.AuthorizationError, match="503"):
            service_of(server, access_token=None, retries=0)
        assert len(server.token_requests) == 1


@pytest.mark.parametrize("retries", [-1, 1.5, True, "3", None])
def test_invalid_retries_raise_config_error(retries: Any) -> None:
    with pytest.raises(sidefx.ConfigError, match=r"^retries must be"):
        sidefx.service(access_token="", retries=retries)


# The end


def test_service_is_closed_by_its_with_block(sidefx_server: LocalServer) -> None:
    with sidefx_server.service() as service:
        assert service.bugs.get_submission_options()
    service.close()
    for use in (service.bugs.get_submission_options, service.__enter__):
        with pytest.raises(TypeError, match="this service is closed"):
            use()
    assert len(sidefx_server.calls) == 1


def test_failed_service_closes_its_connection() -> None:
    closed = threading.Event()
    with ScriptedServer(tokens=[send_and_watch(http_response(403, "no"), closed)]) as server:
        with pytest.raises(sidefx.AuthorizationError) as caught:
            service_of(server, access_token=None)
        assert caught.traceback  # its frames keep unclosed objects alive
        assert closed.wait(2)


def test_endpoint_url_can_be_changed() -> None:
    with LocalServer() as first, LocalServer(authenticate=False) as second, first.service() as service:
        service.endpoint_url = second.endpoint_url
        assert service.bugs.get_submission_options()
        with pytest.raises(sidefx.ConfigError):
            service.endpoint_url = "http://www.sidefx.com/api/"
        assert service.endpoint_url == second.endpoint_url
        assert (len(first.calls), len(second.calls)) == (0, 1)
