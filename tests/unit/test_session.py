"""Tests of Session: proxies, CA bundles, the caller's session and timeouts."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from support import certificates
from support.scripted import Connection, ScriptedServer, http_response, json_response, send_before_body
from support.services import service_of

import sidefx_client as sidefx
from sidefx_client.transport.adapter import Adapter
from sidefx_client.transport.session import require_timeout

OK = json_response("done")
ELSEWHERE = "https://api.invalid/api/"  # reachable through a proxy only


# Routes


def test_proxies_are_looked_up_once_per_host(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer(send_before_body(http_response(403))) as proxy, ScriptedServer() as other:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with service_of(other, endpoint_url=ELSEWHERE) as service:
            for url in (proxy.url, other.url):
                monkeypatch.setenv("HTTPS_PROXY", url)
                with pytest.raises(sidefx.TransportError, match=f"through the proxy {proxy.url}"):
                    service.things.do()
        assert [(request.method, request.path) for request in proxy.requests] == [("CONNECT", "api.invalid:443")] * 2
        assert other.connections == 0


@pytest.mark.parametrize("tls", [None, "good"])
def test_loopback_bypasses_proxies(monkeypatch: pytest.MonkeyPatch, tls: str | None) -> None:
    with ScriptedServer() as proxy, ScriptedServer(OK, tls=tls) as server, requests.Session() as session:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        with service_of(server) as service:
            assert service.things.do() == "done"
        session.proxies = {"http": proxy.url, "https": proxy.url, "all": proxy.url}
        session.verify = server.ca_bundle or True
        with service_of(server, session=session) as service:
            assert service.things.do() == "done"
        assert proxy.connections == 0


def test_empty_proxy_is_ignored() -> None:
    with requests.Session() as session:
        session.proxies = {"https": ""}
        service = sidefx.service(access_token="", endpoint_url=ELSEWHERE, session=session, retries=0)
        with pytest.raises(sidefx.TransportError) as caught:
            service.things.do()
    assert "proxy" not in str(caught.value)


# A caller's session


class Counting(HTTPAdapter):
    sent = 0

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        self.sent += 1
        return super().send(*args, **kwargs)


@pytest.mark.parametrize("place", ["", "/", "/api", "/api/"])
def test_callers_adapter_is_found_by_any_url_prefix_and_its_session_stays_open(place: str) -> None:
    with ScriptedServer(OK) as server, requests.Session() as session:
        adapter = Counting()
        session.mount(server.url + place, adapter)
        with service_of(server, session=session) as service:
            assert service.things.do() == "done"
        assert session.post(server.api_url).json() == "done"
        assert (adapter.sent, server.connections) == (2, 1)


def test_callers_headers_cookies_and_auth_are_not_sent() -> None:
    sent = json_response("done", headers={"Set-Cookie": "ours=1"})
    with ScriptedServer(sent) as server, requests.Session() as session:
        session.headers["X-Studio"] = "secret"
        session.cookies.set("session", "secret")
        session.auth = ("someone", "secret")
        session.params = {"key": "secret"}
        with service_of(server, session=session) as service:
            service.things.do()
        (request,) = server.requests
        assert request.path == "/api/"
        assert request.header("Authorization") == "Bearer given-token"
        assert "secret" not in str(request.headers)
        assert session.cookies.get_dict()["session"] == "secret"


@pytest.mark.parametrize("kind", [str, Path])
def test_callers_ca_bundle_is_used_for_calls_and_downloads(kind: Any, tmp_path: Path) -> None:
    with ScriptedServer(OK, tls="good") as server, requests.Session() as session:
        session.verify = kind(certificates.CA_BUNDLE)
        with service_of(server, session=session) as service:
            assert service.things.do() == "done"
        assert sidefx.download_file(server.url, tmp_path / "file", session=session).read_bytes() == b'"done"'


@pytest.mark.parametrize("setting", ["verify", "cert"])
def test_missing_verify_or_cert_file_raises_config_error(setting: str) -> None:
    with ScriptedServer(tls="good") as server, requests.Session() as session:
        setattr(session, setting, "nowhere.pem")
        with service_of(server, session=session) as service, pytest.raises(sidefx.ConfigError, match=r"nowhere\.pem"):
            service.things.do()
        assert server.connections == 0


@pytest.mark.parametrize("ours", [True, False], ids=["our adapter", "requests' adapter"])
def test_callers_client_certificate_is_used(ours: bool, tmp_path: Path) -> None:
    with ScriptedServer(OK, greetings=[demand_a_certificate]) as server, requests.Session() as session:
        path = str(tmp_path / "client.pem")
        certificates.AUTHORITY.issue_cert("farm").private_key_and_cert_chain_pem.write_to_path(path)
        session.verify, session.cert = certificates.CA_BUNDLE, path
        if ours:
            session.mount("https://", Adapter(certificates.CA_BUNDLE, path))
        with service_of(server, session=session, endpoint_url=f"https://127.0.0.1:{server.port}/api/") as service:
            assert service.things.do() == "done"


def demand_a_certificate(connection: Connection) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificates.AUTHORITY.issue_cert(*certificates.NAMES).configure_cert(context)
    certificates.AUTHORITY.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    connection.socket = context.wrap_socket(connection.socket, server_side=True)


def test_ca_bundle_of_the_environment_is_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with ScriptedServer(OK, tls="good") as server:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificates.CA_BUNDLE)
        with service_of(server, ca_bundle=None) as service:
            assert service.things.do() == "done"
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "not there"))
        with service_of(server) as service:
            assert service.things.do() == "done"


def test_unusable_session_raises_config_error() -> None:
    broken = requests.Session()
    broken.adapters.clear()
    given: Any
    for given, words in (
        ("a string", "must be a requests"),
        (HTTPAdapter(), "must be a requests"),
        (broken, "invalid"),
    ):
        with pytest.raises(sidefx.ConfigError, match=words):
            sidefx.service(access_token="", session=given).things.do()


# Timeouts


@pytest.mark.parametrize("good", [1, 0.5, None, (1, None), (None, 0.5), (10.0, 300.0)])
def test_valid_timeouts(good: Any) -> None:
    assert require_timeout(good) == (good if isinstance(good, tuple) else (good, good))


@pytest.mark.parametrize(
    "bad", [0, -1, True, "5", float("nan"), float("inf"), 1e12, (1,), (1, 2, 3), (0, 1), [1, 2], object()]
)
def test_invalid_timeout_raises_config_error(bad: Any) -> None:
    with pytest.raises(sidefx.ConfigError, match="timeout must be"):
        sidefx.service(access_token="", timeout=bad)
