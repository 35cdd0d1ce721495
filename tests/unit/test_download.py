"""Tests of downloads: resuming, options, progress, memory, and the choice of a build. See also D1 to D21."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from support.downloads import NAME, QUERY, fetch, kept, left, md5, program
from support.scripted import ScriptedServer, http_response, send_and_close
from support.served import MIB, Served, content_of
from support.systems import needs_proc

import sidefx_client as sidefx
from sidefx_client.downloads import newest_build, this_platform
from sidefx_client.testing import LocalServer

CONTENT = content_of(4 * MIB)
HALF = len(CONTENT) // 2
one_and_four = pytest.mark.parametrize("connections", [1, 4])

pytestmark = pytest.mark.usefixtures("hasty")


def test_download_is_one_request_for_the_undecoded_bytes(tmp_path: Path) -> None:
    coded = Served(CONTENT, headers={"Content-Encoding": "gzip"})
    with ScriptedServer(coded) as server:
        assert fetch(server, tmp_path, size=len(CONTENT), md5=md5(CONTENT).upper()) == CONTENT
        assert coded.asked == [None]
        assert server.requests[0].header("Accept-Encoding") == "identity"


@one_and_four
@pytest.mark.parametrize("size", [0, 1, MIB])
def test_small_file_is_one_request(tmp_path: Path, size: int, connections: int) -> None:
    for known in ({}, {"size": size}):
        served = Served(CONTENT[:size])
        with ScriptedServer(served) as server:
            assert fetch(server, tmp_path, connections=connections, **known) == CONTENT[:size]
        assert len(served.asked) == 1
    assert served.asked == [None]  # not even a range, if the size is known


def test_file_of_unknown_length_has_no_total(tmp_path: Path) -> None:
    seen: list[Any] = []
    with ScriptedServer(send_and_close(http_response(200, CONTENT, framed=False))) as server:
        assert fetch(server, tmp_path, progress=lambda *step: seen.append(step)) == CONTENT
    assert seen[0] == (0, None)
    assert seen[-1] == (len(CONTENT), None)


@pytest.mark.parametrize("headers", [{"ETag": '"one"'}, {"Last-Modified": "Sat, 01 Nov 2025 10:00:00 GMT"}])
def test_next_run_resumes_a_file_with_a_validator(tmp_path: Path, headers: dict[str, str]) -> None:
    stop_half_way(tmp_path, headers=headers)
    start = len(kept(tmp_path))
    served = Served(CONTENT, headers=headers)
    with ScriptedServer(served) as server:
        assert fetch(server, tmp_path) == CONTENT
        assert served.starts == [start]
        assert server.requests[0].header("If-Range") in headers.values()


def stop_half_way(directory: Path, headers: dict[str, str] | None = None, name: str = NAME, **options: Any) -> None:
    """Cancel a download at half."""

    def cancel(done: int, total: int | None) -> None:
        if done >= HALF:
            raise KeyboardInterrupt

    with ScriptedServer(Served(CONTENT, headers=headers, pause=0.01)) as server:
        with pytest.raises(KeyboardInterrupt):
            sidefx.download_file(f"{server.url}/{name}", directory / NAME, progress=cancel, **options)


@pytest.mark.parametrize(
    ("name", "known"), [("another.bin", {}), (NAME, {"size": len(CONTENT) - 1}), (NAME, {"md5": md5(b"another")})]
)
def test_partial_file_of_another_url_size_or_md5_is_not_resumed(
    tmp_path: Path, name: str, known: dict[str, Any]
) -> None:
    stop_half_way(tmp_path, name=name, md5=md5(CONTENT) if known else None)
    served = Served(CONTENT)
    with ScriptedServer(served) as server, contextlib.ExitStack() as stack:
        if known:
            stack.enter_context(pytest.raises(sidefx.DownloadError))
        assert fetch(server, tmp_path, **known) == CONTENT
    assert served.asked == [None]
    assert not kept(tmp_path)


def test_file_without_validators_is_resumed_only_with_an_md5(tmp_path: Path) -> None:
    for known, starts in ({"md5": md5(CONTENT)}, [0, HALF]), ({}, [0, 0]):
        served = Served(CONTENT, headers={}, cuts=[HALF])
        with ScriptedServer(served) as server:
            assert fetch(server, tmp_path, **known) == CONTENT
            assert served.starts == starts
        (tmp_path / NAME).unlink()


ERRORS = [OSError(28, "mine"), sidefx.TransportError("mine"), ConnectionResetError(), KeyboardInterrupt(), EOFError()]


@one_and_four
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_exception_of_progress_reaches_the_caller_unchanged(
    tmp_path: Path, error: BaseException, connections: int
) -> None:
    def cancel(done: int, total: int | None) -> None:
        if done >= HALF:
            raise error

    threads = threading.active_count()
    served = Served(CONTENT, pause=0.01)
    with ScriptedServer(served) as server:
        with pytest.raises(type(error)) as caught:
            fetch(server, tmp_path, progress=cancel, connections=connections)
        assert caught.value is error
        assert len(served.asked) <= connections
    assert threading.active_count() == threads
    assert kept(tmp_path)
    assert CONTENT.startswith(kept(tmp_path))


@one_and_four
def test_progress_runs_in_the_callers_thread_up_to_the_total(tmp_path: Path, connections: int) -> None:
    seen: list[Any] = []

    def progress(done: int, total: int | None) -> None:
        seen.append((done, total, threading.current_thread()))

    with ScriptedServer(Served(CONTENT, pause=0.01)) as server:
        fetch(server, tmp_path, connections=connections, progress=progress)
    done = [step[0] for step in seen]
    assert (done[0], done[-1]) == (0, len(CONTENT))
    assert done == sorted(done)
    assert {step[1:] for step in seen} == {(len(CONTENT), threading.current_thread())}
    assert len(done) > 3


def test_progress_returns_to_zero_if_the_file_starts_again(tmp_path: Path) -> None:
    done: list[int] = []
    with ScriptedServer(Served(CONTENT, ranges=False, cuts=[HALF], pause=0.005)) as server:
        fetch(server, tmp_path, progress=lambda at, total: done.append(at))
    assert done.count(0) == 2


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_of_a_download_is_honored(tmp_path: Path, status: int) -> None:
    with ScriptedServer([http_response(status, b"", {"Retry-After": "1"}), Served(CONTENT)]) as server:
        fetch(server, tmp_path)
        first, second = server.requests
        assert 1 <= second.time - first.time < 2


TOO_LONG = {"Retry-After": "121"}


@pytest.mark.parametrize(
    ("status", "headers", "requests"), [(429, TOO_LONG, 1), (429, {}, 5), (502, {}, 5), (503, {}, 5), (504, {}, 5)]
)
def test_busy_server_raises_with_its_status(tmp_path: Path, status: int, headers: Any, requests: int) -> None:
    with ScriptedServer(http_response(status, headers=headers)) as server:
        with pytest.raises(sidefx.DownloadError) as caught:
            fetch(server, tmp_path)
        assert len(server.requests) == requests
    assert caught.value.http_code == status


def test_error_names_the_host_after_redirects(tmp_path: Path) -> None:
    with ScriptedServer(http_response(404)) as storage:
        with ScriptedServer(http_response(302, headers={"Location": f"{storage.url}/?{QUERY}"})) as server:
            with pytest.raises(sidefx.DownloadError, match=f"^{storage.url} responded with 404 Not Found$"):
                fetch(server, tmp_path)


def test_server_without_ranges_that_breaks_every_time_is_given_up(tmp_path: Path) -> None:
    served = Served(CONTENT, ranges=False, cuts=[HALF, HALF // 2] * 10)
    with ScriptedServer(served) as server:
        with pytest.raises(sidefx.DownloadError, match="5 attempts"):
            fetch(server, tmp_path)
    assert len(served.asked) == 6


@pytest.mark.parametrize("framing", [{}, {"Transfer-Encoding": "chunked"}, {"Content-Length": "5"}])
def test_more_bytes_than_expected_raise(tmp_path: Path, framing: dict[str, str]) -> None:
    chunked = b"5\r\nabcde\r\n0\r\n\r\n"
    body = chunked if "Transfer-Encoding" in framing else b"abcde"
    response = http_response(200, body, {"ETag": '"one"', **framing}, framed=False)
    with ScriptedServer([send_and_close(response)]) as server:
        with pytest.raises(sidefx.DownloadError, match=r"^the server (sent more than the 4|has a file of 5) bytes"):
            fetch(server, tmp_path, size=4)
    assert left(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not remove an open file")
@pytest.mark.parametrize("thefts", [3, 6])
def test_removed_partial_file_starts_again_up_to_five_times(tmp_path: Path, thefts: int) -> None:
    def steal(done: int, total: int | None) -> None:
        for partial in tmp_path.glob("*.part") if done and len(served.asked) <= thefts else ():
            partial.unlink()

    served = Served(CONTENT)
    with ScriptedServer(served) as server, contextlib.suppress(FileNotFoundError):
        fetch(server, tmp_path, progress=steal)
        assert thefts == 3
    assert served.asked == [None] * min(thefts + 1, 6)
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    "options",
    [{"size": -1}, {"size": "5"}, {"md5": "abc"}, {"md5": 5}, {"progress": 1}, {"connections": 0}, {"session": 1}],
)
def test_invalid_option_raises_before_the_request(tmp_path: Path, options: dict[str, Any]) -> None:
    with ScriptedServer() as server:
        with pytest.raises(sidefx.ConfigError) as caught:
            fetch(server, tmp_path, **options)
        assert QUERY not in str(caught.value)
    assert left(tmp_path) == []


PEAK = """
import re, sys
import sidefx_client as sidefx
small, big, path, connections = sys.argv[1:]
def memory(key):
    return int(re.search(key + r":\\s+(\\d+)", open("/proc/self/status").read())[1])
sidefx.download_file(small, path, connections=int(connections))
idle = memory("VmRSS")
open("/proc/self/clear_refs", "w").write("5")  # starts VmHWM anew
try:
    sidefx.download_file(big, path, md5="0" * 32, connections=int(connections))
except sidefx.ChecksumError:
    print(memory("VmHWM") - idle)
"""


@needs_proc
@one_and_four
def test_memory_of_a_download_is_constant(tmp_path: Path, connections: int) -> None:
    with ScriptedServer(Served(bytes(3 * MIB))) as small, ScriptedServer(Served(bytes(256 * MIB))) as big:
        with program(PEAK, small.url, big.url, tmp_path / NAME, connections) as child:
            assert child.stdout is not None
            grown = int(child.stdout.read())
    # Usually 1 to 4 MiB, but the C library may keep several blocks of different sizes.
    assert grown < 16 << 10, f"{grown} KiB over the idle client"


def build(number: str, platform: str = "linux_x86_64_gcc11.2", status: str = "good") -> dict[str, str]:
    return {"build": number, "platform": platform, "status": status, "version": "20.5", "product": "houdini"}


@pytest.mark.parametrize(
    ("builds", "platform", "newest"),
    [
        ([build("99"), build("382"), build("1002", status="bad")], "linux", 1),
        ([build("9"), build("9", "linux_x86_64_gcc9.3")], "linux", 0),
        ([build("9"), build("9", "linux_x86_64_gcc9.3")], "linux_x86_64_gcc9.3", 1),
        ([build("8"), build("9", "linux_arm64_gcc14.2")], "linux", 0),
        ([build("8"), build("9", "linux_arm64_gcc14.2")], "linux_arm64", 1),
        ([build("8", "macosx_x86_64_clang15.0_14"), build("9", "macosx_arm64_clang15.0_14")], "macos", 0),
        ([5, None, build("8", "win64-vc143"), build("9" * 5000, status="bad")], "win64", 2),
        ([], "linux", None),
        ([build("9", status="bad")], "linux", None),
        ({"no": "list"}, "linux", None),
    ],
)
def test_latest_is_the_newest_good_build_by_number(builds: Any, platform: str, newest: int | None) -> None:
    with LocalServer() as server, server.service() as service:
        server.register("download.get_daily_builds_list", lambda *args: builds)
        if newest is None:
            with pytest.raises(sidefx.DownloadError, match=r"houdini 20\.5 for linux"):
                newest_build(service, "houdini", "20.5", platform)
        else:
            assert newest_build(service, "houdini", "20.5", platform) == builds[newest]


def test_latest_is_downloaded_by_its_number_and_compiler(tmp_path: Path) -> None:
    with LocalServer() as server, server.service() as service:
        sidefx.download_build(service, "houdini", "20.0", "latest", "linux", tmp_path)
        assert server.calls[-1].args == ["houdini", "20.0", "1007", "linux_x86_64_gcc11.2"]


@pytest.mark.parametrize(
    ("system", "machine", "name"),
    [
        ("linux", "x86_64", "linux"),
        ("linux", "aarch64", "linux_arm64"),
        ("darwin", "x86_64", "macos"),
        ("darwin", "arm64", "macosx_arm64"),
        ("win32", "ARM64", "win64"),
    ],
)
def test_platform_of_this_machine(monkeypatch: pytest.MonkeyPatch, system: str, machine: str, name: str) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(os, "uname", lambda: type("Uname", (), {"machine": machine}), raising=False)
    assert this_platform() == name


def test_download_build_without_a_service_raises_type_error(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="takes a service"):
        sidefx.download_build("houdini", "20.5", "production", directory=tmp_path)  # type: ignore[arg-type]


def test_D9_download_build_creates_its_directory_before_the_first_request(tmp_path: Path) -> None:
    build = ("houdini", "20.5", "production", "linux")
    with LocalServer() as server, server.service() as service:
        folder = tmp_path / "new" / "folder"
        assert sidefx.download_build(service, *build, folder).parent == folder
        (tmp_path / "file").touch()
        calls = len(server.calls)
        with pytest.raises((NotADirectoryError, FileExistsError)):  # the latter on Windows
            sidefx.download_build(service, *build, tmp_path / "file" / "folder")
        assert len(server.calls) == calls
