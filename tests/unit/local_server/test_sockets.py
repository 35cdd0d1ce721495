"""Connections, handshakes, interrupted uploads, and close()."""

from __future__ import annotations

import gc
import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from support.systems import HAS_PROC
from support.visitor import Visitor

from sidefx_client.testing import LocalServer


def threads_and_descriptors() -> tuple[int, int]:
    gc.collect()  # other tests may have left a socket
    return threading.active_count(), len(os.listdir("/proc/self/fd")) if HAS_PROC else 0


def address(server: LocalServer) -> tuple[str, int]:
    return "127.0.0.1", int(server.url.rsplit(":", 1)[1])


@pytest.mark.parametrize("tls", [False, True])
def test_W2_close_with_open_connections_is_quick(tls: bool) -> None:
    LocalServer(tls=tls).close()  # makes the certificates
    before = threads_and_descriptors()
    server = LocalServer(tls=tls)
    ca_bundle = server.ca_bundle
    with Visitor(server) as visitor, socket.create_connection(address(server)):
        assert visitor.token().status_code == 200
        start = time.perf_counter()
        server.close()
        assert time.perf_counter() - start < 0.5
    assert threads_and_descriptors() == before
    assert ca_bundle is None or not Path(ca_bundle).exists()


def test_a_silent_or_failed_handshake_does_not_block_others(capfd: pytest.CaptureFixture[str]) -> None:
    with LocalServer(tls=True) as server:
        with socket.create_connection(address(server)), socket.create_connection(address(server)) as plain:
            plain.sendall(b"GET / HTTP/1.0\r\n\r\n")
            with pytest.raises(requests.exceptions.SSLError):
                requests.post(server.access_token_url)
            with Visitor(server) as visitor:
                assert visitor.token().status_code == 200
        assert (server.connections, server.handshakes) == (4, 1)
    assert capfd.readouterr() == ("", "")


def test_many_functions_run_at_once(visitor: Visitor) -> None:
    visitor.server.authenticate = False
    visitor.server.register("farm.meet", threading.Barrier(24, timeout=5).wait)
    url, body = visitor.server.endpoint_url, {"json": '["farm.meet", [], {}]'}
    with ThreadPoolExecutor(24) as pool:
        responses = list(pool.map(lambda _: requests.post(url, data=body), range(24)))
    assert sorted(response.json() for response in responses) == list(range(24))


def test_an_interrupted_upload_is_not_recorded_as_a_call(visitor: Visitor) -> None:
    head = b"POST /api/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n"
    body = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n' + bytes(3 << 20)
    with socket.create_connection(address(visitor.server)) as client:
        client.sendall(head + b"Content-Type: multipart/form-data; boundary=b\r\n\r\n" + body)
    assert visitor.call("bugs.get_submission_options").status_code == 200
    visitor.server.close()
    assert [call.name for call in visitor.server.calls] == ["bugs.get_submission_options"]


def test_close_warns_about_a_function_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidefx_client.testing.sockets.GRACE", 0.05)
    release = threading.Event()
    server = LocalServer(authenticate=False)
    server.register("farm.hang", release.wait)
    with pytest.raises(requests.ReadTimeout):
        requests.post(server.endpoint_url, data={"json": '["farm.hang", [], {}]'}, timeout=0.1)
    with pytest.warns(ResourceWarning, match=r"use server\.delay\(\)"):
        server.close()
    release.set()
