"""D: redirects and other hosts, names from the server, disks and directories."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import pytest
from support.case import SIGNATURE, TOKEN, Case, without_root_privileges
from support.downloads import left, md5
from support.files import API, CONTENT, NAME, fetch, fetch_build, serve, starts, whole
from support.scripted import ScriptedServer, Step, http_response
from support.served import MIB
from support.systems import needs_proc

import sidefx_client as sidefx

pytestmark = pytest.mark.usefixtures("hasty")


def redirect(target: str) -> bytes:
    return http_response(302, b"", {"Location": target, "Set-Cookie": "session=1; Path=/"})


def test_D7_another_host_gets_neither_token_nor_cookie_nor_referer(case: Case, tls: str | None) -> None:
    with ScriptedServer([serve()], tls=tls) as storage:
        elsewhere = f"{storage.url.replace('127.0.0.1', 'localhost')}/{NAME}?{SIGNATURE}"
        api = API([lambda connection, _: connection.send(redirect(elsewhere))], {})
        fetch_build(case, api, tls)
        for request in (*api.signed, *storage.requests):
            names = {name.lower() for name, _ in request.headers}
            assert not names & {"authorization", "cookie", "referer"}
            assert TOKEN not in str(request.headers)
    whole(case)


@pytest.mark.parametrize(("hops", "arrives"), [(5, True), (6, False)])
def test_D7_at_most_five_redirects_are_followed(case: Case, hops: int, arrives: bool) -> None:
    script: list[Step] = [redirect(f"/hop?{SIGNATURE}")] * hops + [serve()]
    with ScriptedServer(script) as server:
        if arrives:
            fetch(case, server, md5=md5(CONTENT))
            whole(case)
        else:
            with case.raises(sidefx.DownloadError):
                fetch(case, server)
            assert len(server.requests) == 6


@pytest.mark.parametrize(
    "target",
    [
        "http://files.invalid/x",
        "ftp://127.0.0.1/x",
        "file:///etc/passwd",
        "http://",
        "https://*.invalid/",
        f"http://[{SIGNATURE}",
        f"https://user:{SIGNATURE}@localhost/",
    ],
)
def test_D7_unsafe_redirect_raises(case: Case, connects: list[Any], target: str) -> None:
    with ScriptedServer([redirect(target)], tls="good") as server:
        with pytest.raises((sidefx.DownloadError, sidefx.ConfigError)):
            fetch(case, server)
        assert {address[1] for address in connects} == {server.port}
    assert left(case.directory) == []


def test_D7_redirect_is_followed_again_for_each_attempt(case: Case) -> None:
    script: list[Step] = [redirect(f"/a?{SIGNATURE}"), serve(upto=1000), redirect(f"/b?{SIGNATURE}"), serve()]
    with ScriptedServer(script) as server:
        fetch(case, server, md5=md5(CONTENT))
        assert starts(server)[-1] == 1000
    whole(case)


# fmt: off
NAMES: list[Any] = [
    "../x", "/etc/x", "a/../../x", "a\\b", "C:\\x", "nul", "NUL.txt", "..", ".", "", "a\0b", ".bashrc", "-rf", "~/x",
    "x ", "a\nb", "invoice\u202etxt.exe", None, 5,
    pytest.param("n" * 300, id="300"), pytest.param("雪" * 200, id="200 wide"),
]
# fmt: on


@pytest.mark.parametrize("name", NAMES)
def test_D8_server_name_stays_inside_the_directory(case: Case, name: Any) -> None:
    inside = case.directory / "inside"
    inside.mkdir()
    target = None
    with contextlib.suppress(sidefx.DownloadError):
        target = fetch_build(case, API([serve()], {"filename": name}), directory=inside)
    assert sorted(case.directory.rglob("*")) == ([inside, target] if target else [inside])
    if target:
        case.declared.add(target)
        assert target.read_bytes() == CONTENT
        assert target.name[0] not in ".-~"
        assert target.name.isprintable()
        assert len(os.fsencode(target.name)) <= 255


FULL_DISK = """
import errno, os, resource, signal, sys
import sidefx_client as sidefx
url, path, md5, limit = sys.argv[1:]
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
try:
    sidefx.download_file(url, path, md5=md5)
except OSError as error:
    descriptors = [fd for fd in os.listdir("/proc/self/fd") if int(fd) > 3]  # 3 is the descriptor of the listing
    print(type(error).__name__, error.errno == errno.EFBIG, len(descriptors))
"""


@needs_proc
@pytest.mark.parametrize("limit", [600_000, 0], ids=["after half of the file", "before the sidecar"])
def test_D9_full_disk_keeps_errno_and_partial_file(case: Case, limit: int) -> None:
    with ScriptedServer([serve()] * 2) as server:
        done = case.python(FULL_DISK, f"{server.url}/{NAME}", str(case.directory / NAME), md5(CONTENT), str(limit))
        assert (done.stdout.split(), done.stderr) == (["OSError", "True", "0"], "")
        assert len(server.requests) == (limit > 0)
        assert (NAME in left(case.directory), bool(left(case.directory))) == (False, limit > 0)
        fetch(case, server, md5=md5(CONTENT))
        assert (starts(server)[-1] > 0) == (limit > 0)
    whole(case)


def test_D9_missing_directory_raises_before_the_request(case: Case, connects: list[Any]) -> None:
    with ScriptedServer() as server:
        with pytest.raises(FileNotFoundError):
            sidefx.download_file(server.url, case.directory / "missing" / NAME)
        assert connects == []


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has mode bits")
def test_D9_read_only_directory_raises_before_the_request(case: Case, connects: list[Any]) -> None:
    locked = case.directory / "locked"
    locked.mkdir(mode=0o555)
    with ScriptedServer() as server, without_root_privileges():
        with pytest.raises(PermissionError):
            sidefx.download_file(server.url, locked / NAME)
        assert connects == []


def test_D10_existing_correct_file_is_not_requested(case: Case) -> None:
    target = case.write(NAME, CONTENT)
    before = target.stat().st_mtime_ns
    api = API([], {})
    steps: list[tuple[int, int | None]] = []
    assert fetch_build(case, api, progress=lambda done, total: steps.append((done, total))) == target
    assert (api.signed, steps) == ([], [(MIB, MIB)])
    assert target.stat().st_mtime_ns == before
