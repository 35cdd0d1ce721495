"""Calls, uploads and streams from a service to the local server and back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import sidefx_client as sidefx
from sidefx_client.testing import LocalServer, Stream, Upload


@pytest.mark.parametrize("tls", [False, True])
def test_token_and_thirty_calls_use_one_connection(tls: bool) -> None:
    with LocalServer(tls=tls) as server:
        server.register("farm.count", lambda pool: [pool])
        with server.service() as service:
            assert [service.farm.count(number) for number in range(30)] == [[number] for number in range(30)]
        assert (server.token_requests, len(server.calls)) == (1, 30)
        assert (server.connections, server.handshakes) == (1, int(tls))


@pytest.mark.parametrize("tls", [False, True])
def test_files_and_bytes_are_uploaded_by_keyword(tls: bool, tmp_path: Path) -> None:
    got: dict[str, Upload] = {}
    content = os.urandom(3 << 20)
    (tmp_path / "shot.hip").write_bytes(content)
    with LocalServer(tls=tls) as server:
        server.register("farm.submit", lambda *args, **kwargs: got.update(kwargs))
        with server.service() as service, (tmp_path / "shot.hip").open("rb") as file:
            service.farm.submit(
                scene=sidefx.File(tmp_path / "shot.hip"),
                object=sidefx.File(file, name="renamed.hip", size=10),
                chunk=bytearray(b"chunk"),
                empty=b"",
                frames=[1, 2],
            )
        assert {key: value.filename for key, value in got.items() if key != "frames"} == {
            "scene": "shot.hip",
            "object": "renamed.hip",
            "chunk": "unnamed.bin",
            "empty": "unnamed.bin",
        }
        assert {value.content_type for key, value in got.items() if key != "frames"} == {"application/octet-stream"}
        assert (got["scene"].data, got["object"].data) == (content, content[:10])
        assert (got["chunk"].data, got["empty"].data) == (b"chunk", b"")
        assert server.calls[0].kwargs == {"frames": [1, 2]}


@pytest.mark.parametrize("tls", [False, True])
def test_stream_is_a_response_file(tls: bool, tmp_path: Path) -> None:
    content = os.urandom(3 << 20)
    with LocalServer(tls=tls) as server:
        server.register("farm.render", lambda: Stream(content, name="Zoë.exr"))
        with server.service() as service:
            with service.farm.render() as stream:
                assert (stream.name, stream.size) == ("Zoë.exr", len(content))
                assert stream.read(10) == content[:10]
                assert stream.read() == content[10:]
            with service.farm.render() as stream:
                assert stream.save(tmp_path / "out.exr").read_bytes() == content
        assert server.connections == 1


@pytest.mark.parametrize("size", [10, 1 << 20])
def test_a_call_after_a_download_uses_its_connection(tmp_path: Path, size: int) -> None:
    with LocalServer(build_size=size) as server, server.service() as service:
        for _ in range(5):
            path = sidefx.download_build(service, "houdini", "20.5", "production", "linux", directory=tmp_path)
            assert service.bugs.get_submission_options()
            path.unlink()
        assert server.connections == 1
