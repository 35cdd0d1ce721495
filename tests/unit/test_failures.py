"""Tests of failures: exceptions of requests and urllib3 become one TransportError without a chain."""

from __future__ import annotations

import socket
from typing import Any

import pytest
import requests
from support import certificates
from support.scripted import Connection, ScriptedServer, http_response, json_response, stall
from support.services import service_of

import sidefx_client as sidefx


@pytest.fixture(params=["our adapter", "requests' adapter"])
def options(request: pytest.FixtureRequest) -> Any:
    """Return options for our own session, or for a caller's session with the adapter of requests."""
    with requests.Session() as session:
        session.verify = certificates.CA_BUNDLE
        yield {"retries": 0} if request.param == "our adapter" else {"retries": 0, "session": session}


def failure(server: ScriptedServer, **options: Any) -> sidefx.TransportError:
    """Return the error of a call, and check that it neither chains exceptions nor holds the token."""
    with service_of(server, **options) as service, pytest.raises(sidefx.TransportError) as caught:
        service.things.do()
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    assert "given-token" not in str(vars(caught.value))
    return caught.value


def test_failures_before_a_byte_was_sent(options: Any) -> None:
    with ScriptedServer(listening=False) as server:
        error = failure(server, **options)
        assert (type(error), str(error)) == (sidefx.TransportError, f"the connection was refused: {server.url}")
        unknown = failure(server, endpoint_url="https://api.invalid/api/", **options)
        assert str(unknown) == "the host name does not resolve: https://api.invalid"
    assert [error.may_have_executed, unknown.may_have_executed] == [False, False]


def test_custom_adapter_is_not_affected_by_earlier_requests() -> None:
    with ScriptedServer(json_response("done")) as server, requests.Session() as session, service_of(server) as service:
        service.things.do()
        assert not failure(server, endpoint_url="http://127.0.0.1:1/", retries=0, session=session).may_have_executed


@pytest.mark.parametrize("kind", ["self-signed", "expired"])
def test_bad_certificate(options: Any, kind: str) -> None:
    with ScriptedServer(tls=kind) as server:
        error = failure(server, **options)
    assert "the certificate was refused (" in str(error)
    assert ("names a studio's own CA" in str(error)) == ("has expired" not in str(error))
    assert str(error).endswith(f"): {server.url}")
    assert (error.may_have_executed, error.permanent) == (False, True)


def test_timeouts_before_and_after_sending(options: Any) -> None:
    with ScriptedServer([stall]) as server:
        error = failure(server, timeout=0.05, **options)
        assert (type(error), str(error)) == (sidefx.CallTimeout, f"timed out waiting for {server.url}")
        assert error.may_have_executed
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
            port = full.getsockname()[1]
            with socket.create_connection(("127.0.0.1", port)):  # fills the backlog
                error = failure(server, endpoint_url=f"http://127.0.0.1:{port}/", timeout=(0.1, 5), **options)
        assert (type(error), str(error)) == (sidefx.CallTimeout, f"timed out connecting to http://127.0.0.1:{port}")
        assert not error.may_have_executed


@pytest.mark.parametrize("before", ["http://someone:secret@", "http://", ""])
def test_refusing_proxy_is_named_without_its_password(before: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(connection: Connection, _: object) -> None:
        connection.send(http_response(407, headers={"Connection": "close"}))
        connection.finish()

    with ScriptedServer([refuse]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"{before}127.0.0.1:{proxy.port}")
        error = failure(proxy, endpoint_url="https://api.invalid/api/", retries=3)
    assert str(error) == (
        f"the proxy refused the connection with status 407: https://api.invalid (through the proxy {proxy.url})"
    )
    assert (error.may_have_executed, error.permanent) == (False, True)
