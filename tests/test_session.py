"""The session: how a host is reached, what of the environment and of a caller's session counts, what goes out."""

from __future__ import annotations

import logging
import platform
import ssl
from pathlib import Path
from typing import Any

import certificates
import pytest
import requests
from requests.adapters import HTTPAdapter
from scripted import Connection, Request, ScriptedServer, answer, cut, json_answer, token_answer
from services import service_of

import sidefx_client as sidefx
from sidefx_client.session import Session, checked_timeout

OK = json_answer("done")
ELSEWHERE = "https://api.invalid/api/"  # no connection leaves this machine: only a proxy can be asked for it


def refuse(connection: Connection, request: Request) -> None:
    """What a proxy says that wants to be left alone."""
    connection.send(answer(403, headers={"Connection": "close"}))
    connection.finish()


# Routes


def test_the_proxies_of_the_environment_are_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer(refuse) as proxy, ScriptedServer() as other:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with service_of(other, endpoint_url=ELSEWHERE) as service:
            for url in (proxy.url, other.url):
                monkeypatch.setenv("HTTPS_PROXY", url)
                with pytest.raises(sidefx.TransportError, match=f"through the proxy {proxy.url}"):
                    service.things.do()
        assert [(request.method, request.path) for request in proxy.requests] == [("CONNECT", "api.invalid:443")] * 2
        assert other.connections == 0


@pytest.mark.parametrize("tls", [None, "good"])
def test_loopback_is_never_reached_through_a_proxy(monkeypatch: pytest.MonkeyPatch, tls: str | None) -> None:
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


# A caller's session


class Counting(HTTPAdapter):
    sent = 0

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        self.sent += 1
        return super().send(*args, **kwargs)


def test_a_callers_adapters_are_used_and_its_session_is_left_open() -> None:
    with ScriptedServer(OK) as server, requests.Session() as session:
        adapter = Counting()
        session.mount("http://", adapter)
        with service_of(server, session=session) as service:
            assert service.things.do() == "done"
        assert session.post(server.api_url).json() == "done"
        assert adapter.sent == 2
        assert server.connections == 1  # the very one that the service used is still open


def test_a_callers_headers_cookies_and_auth_are_not_sent() -> None:
    with ScriptedServer(json_answer("done", headers={"Set-Cookie": "ours=1"})) as server, requests.Session() as session:
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
        assert session.cookies.get_dict() == {"session": "secret"}


def test_a_callers_ca_bundle_is_used() -> None:
    with ScriptedServer(OK, tls="good") as server, requests.Session() as session:
        session.verify = certificates.CA_BUNDLE
        with service_of(server, session=session) as service:
            assert service.things.do() == "done"
        assert session.verify == certificates.CA_BUNDLE


def test_a_callers_client_certificate_is_used(tmp_path: Path) -> None:
    with ScriptedServer(OK, greetings=[demand_a_certificate]) as server, requests.Session() as session:
        path = tmp_path / "client.pem"
        certificates.AUTHORITY.issue_cert("farm").private_key_and_cert_chain_pem.write_to_path(str(path))
        session.verify, session.cert = certificates.CA_BUNDLE, str(path)
        with service_of(server, session=session, endpoint_url=f"https://127.0.0.1:{server.port}/api/") as service:
            assert service.things.do() == "done"


def demand_a_certificate(connection: Connection) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificates.AUTHORITY.issue_cert(*certificates.NAMES).configure_cert(context)
    certificates.AUTHORITY.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    connection.socket = context.wrap_socket(connection.socket, server_side=True)


def test_another_hosts_session_has_the_callers_tls_and_nothing_else() -> None:
    with ScriptedServer(OK, tls="good") as server, requests.Session() as session:
        session.verify = server.ca_bundle or True
        session.headers["X-Studio"] = "secret"
        session.cookies.set("session", "secret")
        own = Session.like(session)
        own.send(requests.Request("GET", server.url + "/file").prepare(), 5, "download").close()
        own.close()
        assert "secret" not in str(server.requests[0].headers)


@pytest.mark.parametrize("session", ["a string", object(), HTTPAdapter()])
def test_what_is_no_session_is_a_config_error(session: Any) -> None:
    with pytest.raises(sidefx.ConfigError, match=r"must be a requests\.Session"):
        sidefx.service(access_token="", session=session)


# TLS


def test_a_ca_bundle_is_trusted_and_nothing_else() -> None:
    with ScriptedServer(OK, tls="good") as server:
        with service_of(server, ca_bundle=Path(certificates.CA_BUNDLE)) as service:
            assert service.things.do() == "done"
        with service_of(server, ca_bundle=None) as service:
            with pytest.raises(sidefx.TransportError, match="certificate was refused"):
                service.things.do()


def test_a_ca_bundle_that_cannot_be_used_is_a_config_error(tmp_path: Path) -> None:
    no_pem = tmp_path / "no.pem"
    no_pem.write_text("no certificate")
    with ScriptedServer(tls="good") as server, requests.Session() as session:
        with pytest.raises(sidefx.ConfigError, match="is not there"):
            service_of(server, ca_bundle="nowhere.pem")
        with pytest.raises(sidefx.ConfigError, match="not both"):
            service_of(server, ca_bundle=no_pem, session=session)
        with service_of(server, ca_bundle=no_pem) as service, pytest.raises(sidefx.ConfigError, match=r"no\.pem"):
            service.things.do()
        assert server.handshakes == 0


def test_the_environments_ca_bundle_counts_where_none_is_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with ScriptedServer(OK, tls="good") as server:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificates.CA_BUNDLE)
        with service_of(server, ca_bundle=None) as service:
            assert service.things.do() == "done"
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "not there"))
        with service_of(server) as service:
            assert service.things.do() == "done"


def test_a_ca_bundle_is_read_once(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(Path(certificates.CA_BUNDLE).read_bytes())
    with ScriptedServer([cut(OK), OK], tls="good") as server, service_of(server, ca_bundle=bundle) as service:
        service.things.do()
        bundle.unlink()
        assert service.things.do() == "done"
        assert server.handshakes == 2


def test_tls_1_3_and_1_2_are_offered_and_nothing_older() -> None:
    hellos: list[bytes] = []

    def listen(connection: Connection) -> None:
        hellos.append(connection.read())
        connection.close()

    with ScriptedServer(tls="good", greetings=[listen]) as server, service_of(server, retries=0) as service:
        with pytest.raises(sidefx.TransportError):
            service.things.do()
    supported_versions = bytes([0, 43, 0, 5, 4, 3, 4, 3, 3])  # RFC 8446, section 4.2.1: four bytes, 1.3 and 1.2
    assert supported_versions in hellos[0]


# What goes out


def test_a_call_has_these_headers_and_no_others() -> None:
    with ScriptedServer(OK) as server, service_of(server) as service:
        service.things.do()
        (request,) = server.requests
    assert request.method == "POST"
    assert sorted(name for name, _ in request.headers) == [
        "Accept",
        "Accept-Encoding",
        "Authorization",
        "Content-Length",
        "Content-Type",
        "Host",
        "User-Agent",
    ]
    agent = request.header("User-Agent") or ""
    assert agent.startswith(f"sidefx-client/{sidefx.__version__} python-requests/{requests.__version__} ")
    assert agent.endswith(f"Python/{platform.python_version()}")


def test_cookies_are_neither_kept_nor_sent() -> None:
    setting = {"Set-Cookie": "session=1; Path=/"}
    with ScriptedServer(json_answer("done", headers=setting), tokens=token_answer()) as server:
        with service_of(server) as service:
            service.things.do()
            service.things.do()
        assert [request.header("Cookie") for request in server.requests] == [None, None]


@pytest.mark.parametrize("entry", ["machine 127.0.0.1", "default"])
def test_a_netrc_file_never_replaces_our_header(entry: str) -> None:
    path = Path.home() / ".netrc"
    path.write_text(f"{entry} login someone password something\n")
    path.chmod(0o600)
    with ScriptedServer(OK) as server, service_of(server, access_token=None) as service:
        service.things.do()
        basic, bearer = (request.header("Authorization") for request in server.requests)
    assert (basic, bearer) == ("Basic YW4taWQ6YS1zZWNyZXQ=", "Bearer a-token")


def test_each_request_is_a_debug_line_without_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="sidefx_client")
    with ScriptedServer([OK]) as server, service_of(server, access_token=None) as service:
        service.things.do()
    token, call = (record.getMessage() for record in caplog.records)
    assert token.startswith("token (attempt 1): 200 after ")
    assert call.startswith("things.do (attempt 1): 200 after ")


# Timeouts


@pytest.mark.parametrize("good", [1, 0.5, None, (1, None), (None, 0.5), (10.0, 300.0)])
def test_a_timeout_is_seconds_a_pair_or_none(good: Any) -> None:
    assert checked_timeout(good) == (good if isinstance(good, tuple) else (good, good))


@pytest.mark.parametrize("bad", [0, -1, True, "5", float("nan"), (1,), (1, 2, 3), (0, 1), [1, 2], object()])
def test_any_other_timeout_is_a_config_error(bad: Any) -> None:
    with pytest.raises(sidefx.ConfigError, match="timeout must be"):
        sidefx.service(access_token="", timeout=bad)
