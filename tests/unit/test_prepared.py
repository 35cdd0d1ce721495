"""Requests as they go out: these headers, no cookie, and an authorization that nothing replaces."""

from __future__ import annotations

import importlib.metadata
import platform
from pathlib import Path

import pytest
from support.scripted import ScriptedServer, json_answer
from support.services import service_of

import sidefx_client as sidefx
from sidefx_client.transport.prepared import endpoint, get
from sidefx_client.urls import Address

OK = json_answer("done")


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
    assert agent.startswith(
        f"sidefx-client/{sidefx.__version__} python-requests/{importlib.metadata.version('requests')} "
    )
    assert agent.endswith(f"Python/{platform.python_version()}")


def test_cookies_are_neither_kept_nor_sent() -> None:
    setting = {"Set-Cookie": "session=1; Path=/"}
    with ScriptedServer(json_answer("done", headers=setting)) as server:
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


def test_a_request_for_a_file_tells_nobody_who_asks() -> None:
    request = get(Address("https://files.sidefx.com/a?signature=5ec4e7"), {"Range": "bytes=5-"})
    assert sorted(request.headers) == ["Accept-Encoding", "Range", "User-Agent"]
    assert request.headers["Accept-Encoding"] == "identity"
    assert request.url == "https://files.sidefx.com/a?signature=5ec4e7"


@pytest.mark.parametrize(
    "url", ["https://*.sidefx.com/?signature=5ec4e7", "https://" + "x" * 64 + "é.com/?signature=5ec4e7"]
)
def test_a_host_name_that_cannot_be_is_a_config_error_without_its_query(url: str) -> None:
    for request in (endpoint, lambda url: get(Address(url), {})):
        with pytest.raises(sidefx.ConfigError, match="cannot make a request") as caught:
            request(url)
        assert "5ec4e7" not in str(caught.value)
