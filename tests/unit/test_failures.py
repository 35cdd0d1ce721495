"""Tests of failures with the adapter of requests. For our own adapter see N1 to N12."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from support import certificates
from support.scripted import ScriptedServer, json_response, stall
from support.services import service_of

import sidefx_client as sidefx


def failure(server: ScriptedServer, session: requests.Session, **options: Any) -> sidefx.TransportError:
    """Return the error of a call, and check that it neither chains exceptions nor holds the token."""
    with (
        service_of(server, session=session, retries=0, **options) as service,
        pytest.raises(sidefx.TransportError) as caught,
    ):
        service.things.do()
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    assert "given-token" not in str(vars(caught.value))
    return caught.value


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """Return a caller's session, which has the adapter of requests."""
    with requests.Session() as session:
        session.verify = certificates.CA_BUNDLE
        yield session


def test_call_without_a_connection_has_not_executed(session: requests.Session) -> None:
    with ScriptedServer(json_response("done")) as server, service_of(server) as service:
        service.things.do()  # must not count as the beginning of the requests below
    with ScriptedServer(listening=False) as server:
        error = failure(server, session)
        assert (type(error), str(error)) == (sidefx.TransportError, f"the connection was refused: {server.url}")
        unknown = failure(server, session, endpoint_url="https://api.invalid/api/")
        assert str(unknown) == "the host name does not resolve: https://api.invalid"
    assert [error.may_have_executed, unknown.may_have_executed] == [False, False]


@pytest.mark.parametrize("kind", ["self-signed", "expired"])
def test_bad_certificate_is_named_and_permanent(session: requests.Session, kind: str) -> None:
    with ScriptedServer(tls=kind) as server:
        error = failure(server, session)
    assert "the certificate was refused (" in str(error)
    assert ("names a studio's own CA" in str(error)) == ("has expired" not in str(error))
    assert str(error).endswith(f"): {server.url}")
    assert (error.may_have_executed, error.permanent) == (False, True)


def test_timeout_may_have_executed_only_after_sending(session: requests.Session) -> None:
    with ScriptedServer([stall]) as server:
        error = failure(server, session, timeout=0.05)
        assert (type(error), str(error)) == (sidefx.CallTimeout, f"timed out waiting for {server.url}")
        assert error.may_have_executed
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
            url = f"http://127.0.0.1:{full.getsockname()[1]}"
            with socket.create_connection(full.getsockname()):  # fills the backlog
                error = failure(server, session, endpoint_url=url, timeout=(0.1, 5))
        assert (type(error), str(error)) == (sidefx.CallTimeout, f"timed out connecting to {url}")
        assert not error.may_have_executed
