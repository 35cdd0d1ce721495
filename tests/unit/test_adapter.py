"""Tests of Adapter: CA bundles, pools, TLS versions and proxies."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

import pytest
import requests
from support import certificates
from support.scripted import (
    Connection,
    Request,
    ScriptedServer,
    http_response,
    json_response,
    send_and_close,
    send_and_watch,
)
from support.services import service_of

import sidefx_client as sidefx

OK = json_response("done")


def test_unusable_ca_bundle_raises_config_error(tmp_path: Path) -> None:
    no_pem = tmp_path / "no.pem"
    no_pem.write_text("no certificate")
    with ScriptedServer(tls="good") as server, requests.Session() as session:
        for bundle in ("nowhere.pem", 5):
            with pytest.raises(sidefx.ConfigError, match="an existing PEM file"):
                service_of(server, ca_bundle=bundle)
        with pytest.raises(sidefx.ConfigError, match="not both"):
            service_of(server, ca_bundle=no_pem, session=session)
        with service_of(server, ca_bundle=no_pem) as service, pytest.raises(sidefx.ConfigError, match=r"no\.pem"):
            service.things.do()
        assert server.handshakes == 0


def test_only_the_ca_bundle_is_trusted_and_it_is_read_once(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(Path(certificates.CA_BUNDLE).read_bytes())
    closing = json_response("done", headers={"Connection": "close"})
    with ScriptedServer(closing, tls="good") as server, service_of(server, ca_bundle=bundle) as service:
        assert service.things.do() == "done"
        bundle.write_text("no certificate")
        assert service.things.do() == "done"
        assert server.handshakes == 2
        with service_of(server, ca_bundle=None) as other, pytest.raises(sidefx.TransportError, match="certificate was"):
            other.things.do()


def test_close_closes_the_connections_to_all_hosts() -> None:
    closed = [threading.Event() for _ in range(12)]  # more than urllib3 keeps pools for
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(ScriptedServer([OK, send_and_watch(OK, event)])) for event in closed]
        service = service_of(servers[0], retries=0)
        for server in [*servers, *servers]:
            service.endpoint_url = server.api_url
            assert service.things.do() == "done"
        service.close()
        assert all(event.wait(5) for event in closed)
        assert all(server.connections == 1 for server in servers)


def test_proxy_tunnel_uses_our_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    def tunnel(connection: Connection, request: Request) -> None:
        connection.send(http_response(200, framed=False))
        context = certificates.server_context("wrong-name")  # valid for elsewhere.invalid
        connection.socket = context.wrap_socket(connection.socket, server_side=True)

    with ScriptedServer([tunnel, OK, send_and_close()]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        options = {"endpoint_url": "https://elsewhere.invalid/api/", "ca_bundle": certificates.CA_BUNDLE}
        with service_of(proxy, **options) as service:
            assert service.things.do() == "done"
            with pytest.raises(sidefx.TransportError) as caught:
                service.things.do()
        assert caught.value.may_have_executed
        assert [request.method for request in proxy.requests] == ["CONNECT", "POST", "POST"]
        assert proxy.requests[0].header("Authorization") is None
