"""D: broken connections, wrong ranges and checksums, expired URLs."""

from __future__ import annotations

import errno
from io import FileIO
from typing import Any

import pytest
from support.case import SIGNATURE, Case
from support.downloads import left, md5
from support.files import (
    API,
    CONTENT,
    ETAG,
    NAME,
    cut_200,
    fetch,
    fetch_build,
    head,
    keep_partial,
    serve,
    start_of,
    starts,
    whole,
)
from support.scripted import Action, Connection, Request, ScriptedServer, http_response, send_and_close
from support.scripted import send_before_body as send
from support.served import MIB, Served, content_of

import sidefx_client as sidefx
from sidefx_client import atomic

pytestmark = pytest.mark.usefixtures("hasty")


def test_D1_two_breaks_are_resumed_in_three_requests(case: Case, tls: str | None) -> None:
    script = [serve(upto=300_000), serve(upto=700_000), serve()]
    with ScriptedServer(script, tls=tls) as server:
        assert fetch(case, server, md5=md5(CONTENT)) == case.directory / NAME
        assert starts(server) == [0, 300_000, 700_000]
        assert server.requests[1].header("If-Range") is None  # the MD5 decides
        assert server.requests[1].header("Accept-Encoding") == "identity"
    whole(case)


def test_D2_ignored_range_starts_again(case: Case, tls: str | None) -> None:
    with ScriptedServer([cut_200(), send(http_response(200, CONTENT, {"ETag": ETAG}))], tls=tls) as server:
        fetch(case, server, md5=md5(CONTENT))
        assert starts(server) == [0, MIB // 2]
    whole(case)


def lie(range_sent: str | None, body: bytes, *, framed: bool = True) -> Action:
    """Return a step that sends a 206 with another range than requested."""
    headers = {"ETag": ETAG, **({"Content-Range": range_sent} if range_sent else {})}
    return send(http_response(206, body, headers, framed=framed))


HALF = CONTENT[MIB // 2 :]
LIES = [
    pytest.param(lie(None, HALF), id="no Content-Range"),
    pytest.param(lie(f"bytes 0-{MIB // 2 - 1}/{MIB}", CONTENT[: MIB // 2]), id="another start"),
    pytest.param(lie(f"bytes {MIB // 2 + 1}-{MIB - 1}/{MIB}", HALF[1:], framed=False), id="a gap"),
    pytest.param(lie(f"bytes {MIB // 2}-{MIB - 1}/{MIB + 5}", HALF), id="another size"),
    pytest.param(lie(f"bytes {MIB // 2}-{MIB - 1}/{MIB}", HALF + b"more"), id="another length"),
    pytest.param(lie(f"bytes {MIB // 2}-{MIB + 3}/*", HALF + b"more"), id="more than there is"),
    pytest.param(lie("chapters 1-2/3", HALF), id="another unit"),
]


@pytest.mark.parametrize("lying", LIES)
def test_D2_wrong_range_is_not_appended(case: Case, lying: Action) -> None:
    with ScriptedServer([cut_200(), lying, serve()]) as server:
        fetch(case, server, md5=md5(CONTENT))
        assert starts(server) == [0, MIB // 2, 0]
    whole(case)


@pytest.mark.parametrize("lying", LIES)
def test_D2_server_that_repeats_wrong_ranges_is_given_up(case: Case, lying: Action) -> None:
    def honest_only_at_first(connection: Connection, request: Request) -> None:
        (lying if start_of(request) else cut_200())(connection, request)

    with ScriptedServer(honest_only_at_first) as server:
        with case.raises(sidefx.DownloadError):
            fetch(case, server)
        assert len(server.requests) <= 4
        assert starts(server).count(0) <= 2
    assert NAME not in left(case.directory)
    case.declared.update(case.directory.iterdir())


def test_D2_unrequested_range_is_not_used(case: Case) -> None:
    with ScriptedServer([lie(f"bytes 0-{MIB // 2 - 1}/{MIB}", CONTENT[: MIB // 2]), serve()]) as server:
        fetch(case, server, md5=md5(CONTENT))
        assert starts(server) == [0, 0]
    whole(case)


def partial_of(case: Case, content: bytes) -> None:
    """Leave a partial file with ``content``, like an interrupted run."""
    step = send(http_response(200, content, {"Content-Length": str(len(content) + 5), "ETag": ETAG}))
    with ScriptedServer([step, http_response(404)]) as server, pytest.raises(sidefx.DownloadError):
        fetch(case, server, md5=md5(CONTENT))


def range_not_satisfiable(size: int = MIB) -> bytes:
    return http_response(416, b"", {"Content-Range": f"bytes */{size}"})


def test_D3_416_for_a_complete_partial_file_finishes_it(case: Case) -> None:
    partial_of(case, CONTENT)
    with ScriptedServer([range_not_satisfiable()]) as server:
        fetch(case, server, md5=md5(CONTENT))
        assert starts(server) == [MIB]
    whole(case)


@pytest.mark.parametrize("content", [CONTENT + b"more", CONTENT[:-1] + b"?"], ids=["longer", "wrong"])
def test_D3_416_for_another_partial_file_starts_again(case: Case, content: bytes) -> None:
    partial_of(case, content)
    with ScriptedServer([range_not_satisfiable(), serve()]) as server:
        try:
            fetch(case, server, md5=md5(CONTENT))
        except sidefx.ChecksumError:  # a complete partial file is verified first, and the next run starts again
            fetch(case, server, md5=md5(CONTENT))
        assert starts(server)[-1] == 0
    whole(case)


def test_D3_416_does_not_complete_a_short_file(case: Case) -> None:
    with ScriptedServer([cut_200(1000), range_not_satisfiable(1000)]) as server:
        with case.raises(sidefx.DownloadError, match="has 1000 bytes, expected"):
            fetch(case, server, size=MIB)
    assert left(case.directory) == []


def test_D3_permanent_416_raises(case: Case) -> None:
    partial_of(case, CONTENT[:1000])
    with ScriptedServer(range_not_satisfiable(500)) as server:
        with case.raises(sidefx.DownloadError) as caught:
            fetch(case, server, md5=md5(CONTENT))
        assert caught.value.http_code == 416
        assert len(server.requests) <= 3
    case.declared.update(case.directory.iterdir())


@pytest.mark.parametrize("old", [b"short", CONTENT[:-1] + b"?"], ids=["shorter", "as long"])
def test_D4_wrong_md5_keeps_the_older_file_and_starts_again(case: Case, tls: str | None, old: bytes) -> None:
    target = case.write(NAME, old)
    with ScriptedServer([serve(bytes(MIB)), serve()], tls=tls) as server:
        with case.raises(sidefx.ChecksumError):
            fetch(case, server, size=MIB, md5=md5(CONTENT))
        assert (target.read_bytes(), left(case.directory)) == (old, [NAME])
        fetch(case, server, size=MIB, md5=md5(CONTENT))
        assert starts(server) == [0, 0]
    whole(case)


@pytest.mark.parametrize("known", [{"size": MIB}, {"md5": md5(CONTENT)}])
def test_D5_truncated_file_of_unknown_length_is_detected(case: Case, tls: str | None, known: dict[str, Any]) -> None:
    short = send(http_response(200, CONTENT[: MIB // 2], framed=False))
    with ScriptedServer(short, tls=tls) as server:
        with pytest.raises(sidefx.DownloadError):
            fetch(case, server, **known)
        assert len(server.requests) <= 6
    assert NAME not in left(case.directory)
    case.declared.update(case.directory.iterdir())


@pytest.mark.parametrize("known", [{"size": MIB}, {"md5": md5(CONTENT)}])
def test_H14_size_or_md5_completes_a_file_that_ends_without_close_notify(case: Case, known: dict[str, Any]) -> None:
    def step(connection: Connection, request: Request) -> None:
        connection.send(http_response(200, CONTENT, framed=False))
        connection.finish(notify=False)

    with ScriptedServer([step], tls="good") as server:
        fetch(case, server, **known)
    whole(case)


def test_H14_md5_does_not_complete_a_file_that_is_announced_to_be_longer(case: Case) -> None:
    longer = send(http_response(200, CONTENT, {"Content-Length": str(MIB + 1)}))
    with ScriptedServer(longer) as server:
        with pytest.raises(sidefx.DownloadError, match="5 attempts"):
            fetch(case, server, md5=md5(CONTENT))
        assert len(server.requests) == 6
    keep_partial(case)


FORBIDDEN = send(http_response(403, "the signature has expired"))


def test_D6_expired_url_is_renewed_and_the_file_resumed(case: Case, tls: str | None) -> None:
    api = API([cut_200(), FORBIDDEN, serve()], {}, {})
    assert fetch_build(case, api, tls) == case.directory / NAME
    assert [start_of(request) for request in api.signed] == [0, MIB // 2, MIB // 2]
    assert api.signed[1].path != api.signed[2].path
    whole(case)


def test_D6_expired_url_is_renewed_once_for_all_connections(case: Case) -> None:
    content = content_of(12 * MIB)
    served, fields = Served(content), {"size": len(content), "hash": md5(content)}

    def expire(connection: Connection, request: Request) -> None:
        has_expired = request.path == api.signed[0].path and len(served.asked) > 4
        (FORBIDDEN if has_expired else served)(connection, request)

    api = API([expire] * 40, fields, fields)
    fetch_build(case, api, connections=4)
    assert served.sent < 1.5 * len(content)
    whole(case, content)


def test_D6_another_file_at_the_new_url_is_not_appended(case: Case) -> None:
    other = content_of(MIB + 3, seed=2)
    renewed = {"size": len(other), "hash": md5(other)}
    api = API([cut_200(), FORBIDDEN, serve(other, etag='"two"')], {}, renewed)
    fetch_build(case, api)
    assert start_of(api.signed[-1]) == 0
    whole(case, other)


def test_D6_newer_build_at_the_new_url_raises(case: Case) -> None:
    api = API([cut_200(), FORBIDDEN], {}, {"filename": "houdini-20.5.446-linux.tar.gz"})
    with case.raises(sidefx.DownloadError, match="replaced by a newer build"):
        fetch_build(case, api)
    keep_partial(case)


@pytest.mark.parametrize(
    ("place", "options"),
    [
        ("http://files.invalid", {}),
        ("https://files.invalid", {"size": -1}),
        ("https://files.invalid", {"session": "none"}),
        ("https://files.invalid", {}),  # the CA bundle cannot be read
    ],
)
def test_D6_signed_url_is_hidden_in_frames(
    case: Case, place: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", __file__)
    with case.raises(sidefx.ConfigError):
        sidefx.download_file(f"{place}/{NAME}?{SIGNATURE}", case.directory / NAME, **options)


def test_D6_echo_of_the_signed_url_in_a_truncated_file_is_hidden_in_frames(case: Case) -> None:
    truncated = http_response(200, SIGNATURE, {"Content-Length": "900", "ETag": '"one"'})
    with ScriptedServer(send_and_close(truncated)) as server, case.raises(sidefx.DownloadError):
        fetch(case, server)
    keep_partial(case)


def test_D6_echo_of_the_signed_url_on_a_full_disk_is_hidden_in_frames(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_all(file: FileIO, data: bytes | memoryview, real: Any = atomic.write_all) -> None:
        if bytes(data) == SIGNATURE.encode():
            raise OSError(errno.ENOSPC, "the disk is full")
        real(file, data)

    monkeypatch.setattr(atomic, "write_all", write_all)
    with ScriptedServer(http_response(200, SIGNATURE)) as server, case.raises(OSError, match="the disk is full"):
        fetch(case, server)


def test_D6_url_refused_twice_raises(case: Case) -> None:
    api = API([FORBIDDEN, FORBIDDEN], {}, {})
    with case.raises(sidefx.DownloadError, match="signature has expired|403") as caught:
        fetch_build(case, api)
    assert caught.value.http_code == 403
    case.declared.update(case.directory.iterdir())


@pytest.mark.parametrize("connections", [1, 4])
def test_D14_connections_that_break_after_every_300_KiB_complete_the_file(
    case: Case, monkeypatch: pytest.MonkeyPatch, connections: int
) -> None:
    monkeypatch.setattr("sidefx_client.downloads.workers.BACKOFF", 30.0)  # seconds that a wait would take
    content = content_of(4 * MIB)
    served = Served(content, cuts=[300 << 10] * 40)
    with ScriptedServer(served) as server:
        fetch(case, server, connections=connections)
    assert served.sent == len(content)  # every byte was kept
    whole(case, content)


def test_D14_slow_download_reports_progress(case: Case) -> None:
    content = content_of(30 << 10)
    blocks = [content[at : at + 5120] for at in range(0, 30 << 10, 5120)]
    steps: list[int] = []

    def slowly(connection: Connection, request: Request) -> None:
        connection.send(head(request, content), *blocks, pause=0.3)

    with ScriptedServer([slowly]) as server:
        fetch(case, server, progress=lambda done, total: steps.append(done))
    assert len(set(steps)) >= 4
    whole(case, content)


def test_D18_blanks_and_utf_8_in_urls_are_quoted(case: Case) -> None:
    location = http_response(302, b"", {"Location": "/a b/ë?x=1 2".encode().decode("latin-1")})
    told: dict[str, Any] = {"size": str(MIB), "hash": ""}
    api = API([lambda connection, _: connection.send(location), serve()], told)
    with ScriptedServer(api) as server:
        api.server = server
        told["download_url"] = f"{server.url}/c d/ö?{SIGNATURE}"
        with case.service(server) as service:
            sidefx.download_build(service, "houdini", "20.5", 445, "linux", directory=case.directory)
    assert [request.path for request in api.signed] == [f"/c%20d/%C3%B6?{SIGNATURE}", "/a%20b/%C3%AB?x=1%202"]
    whole(case)
