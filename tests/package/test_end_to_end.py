"""Calls, uploads, streams and downloads from a service to the local server and back, on one connection."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import sidefx_client as sidefx
from sidefx_client.testing import LocalServer, Stream


@pytest.mark.parametrize("tls", [False, True])
def test_all_requests_of_a_service_use_one_connection(tls: bool, tmp_path: Path) -> None:
    content = os.urandom(3 << 20)
    (tmp_path / "shot.hip").write_bytes(content)
    with LocalServer(tls=tls) as server, server.service() as service:
        server.register("farm.submit", lambda frames, scene, chunk: [scene.filename, scene.data == content, chunk.size])
        server.register("farm.render", lambda: Stream(content, name="Zoë.exr"))
        scene = sidefx.File(tmp_path / "shot.hip")
        assert service.farm.submit(frames=[1, 2], scene=scene, chunk=bytearray(b"x")) == ["shot.hip", True, 1]
        with service.farm.render() as stream:
            assert (stream.name, stream.size) == ("Zoë.exr", len(content))
            assert stream.read(10) == content[:10]
            assert stream.read() == content[10:]
        with service.farm.render() as stream:
            assert stream.save(tmp_path / "out.exr").read_bytes() == content
        for server.build_size in (10, 1 << 20):
            sidefx.download_build(service, "houdini", "20.5", "production", "linux", directory=tmp_path).unlink()
        assert (server.token_requests, len(server.calls)) == (1, 5)
        assert (server.connections, server.handshakes) == (1, int(tls))
