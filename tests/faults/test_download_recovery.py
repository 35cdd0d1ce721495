"""D, second part: slow and odd servers, other processes and programs, too little free space."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from support.case import Case
from support.downloads import FETCHING, left, md5, program
from support.files import CONTENT, ETAG, NAME, cut_200, fetch, head, serve, start_of, starts, whole
from support.scripted import Connection, Request, ScriptedServer, http_response
from support.scripted import send_before_body as send
from support.served import MIB, Served, content_of

import sidefx_client as sidefx

pytestmark = pytest.mark.usefixtures("hasty")
posix_only = pytest.mark.skipif(os.name != "posix", reason="POSIX only")
one_and_four = pytest.mark.parametrize("connections", [1, 4])


# Slow and odd servers


def test_D14_transfer_below_1_KiB_a_second_is_resumed_on_a_new_connection(case: Case) -> None:
    def trickle(connection: Connection, request: Request) -> None:
        start = start_of(request)
        connection.send(head(request), *(CONTENT[at : at + 1] for at in range(start, start + 40)), pause=0.1)

    with ScriptedServer([trickle, trickle, serve()]) as server:
        started = time.monotonic()
        fetch(case, server, md5=md5(CONTENT))
        assert time.monotonic() - started < 3
        assert starts(server) == sorted(set(starts(server)))  # each attempt keeps what the one before received
    whole(case)


PAGE = b"<!DOCTYPE html><html><body>Log in to the studio network</body></html>"
HTML = {"Content-Type": "text/html"}
PAGES = {
    "chunked": http_response(200, b"%x\r\n%s\r\n0\r\n\r\n" % (len(PAGE), PAGE), {"Transfer-Encoding": "chunked"}),
    "length": http_response(200, PAGE, HTML),
    "closed": http_response(200, PAGE, HTML, framed=False),
}


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("begun", [False, True])
def test_D17_block_page_is_not_kept(case: Case, page: str, begun: bool) -> None:
    script = [cut_200()] * begun + [send(PAGES[page])] * 9
    with ScriptedServer(script) as server, pytest.raises(sidefx.DownloadError):
        fetch(case, server, size=MIB, md5=md5(CONTENT))
    for path in case.directory.glob("*.part"):
        assert CONTENT.startswith(path.read_bytes())
    with ScriptedServer([serve()]) as server:
        fetch(case, server, size=MIB, md5=md5(CONTENT))
    whole(case)


def test_D17_mirrors_with_different_etags_complete_a_file_with_an_md5(case: Case) -> None:
    script = [serve(upto=300_000, etag='"a"'), serve(upto=700_000, etag='"b"'), serve(etag='"a"')]
    with ScriptedServer(script) as server:
        fetch(case, server, md5=md5(CONTENT))
        assert starts(server) == [0, 300_000, 700_000]
    whole(case)


def test_D17_without_an_md5_bytes_of_two_etags_are_not_mixed(case: Case) -> None:
    other = content_of(MIB, seed=5)
    with ScriptedServer([serve(upto=300_000), serve(other, etag='"two"'), serve(other, etag='"two"')]) as server:
        fetch(case, server)
    whole(case, other)


def test_D17_bytes_of_two_versions_start_again_before_a_checksum_error(case: Case) -> None:
    other = content_of(MIB, seed=5)
    with ScriptedServer([serve(other, upto=300_000, etag='"two"'), serve(), serve()]) as server:
        fetch(case, server, md5=md5(CONTENT))
        assert starts(server) == [0, 300_000, 0]
    whole(case)


@pytest.mark.parametrize("last", [CONTENT, bytes(MIB)], ids=["right", "wrong"])
def test_D19_wrong_bytes_of_an_earlier_run_start_again_once(case: Case, last: bytes) -> None:
    with ScriptedServer([cut_200(), http_response(404)]) as server, pytest.raises(sidefx.DownloadError):
        fetch(case, server, md5=md5(CONTENT))
    (case.directory / f"{NAME}.part").write_bytes(bytes(MIB // 2))
    is_refused = contextlib.nullcontext() if last == CONTENT else case.raises(sidefx.ChecksumError)
    with ScriptedServer([serve(), serve(last)]) as server, is_refused:
        fetch(case, server, md5=md5(CONTENT))
        whole(case)
    assert starts(server) == [MIB // 2, 0]
    assert left(case.directory) == [NAME] * (last == CONTENT)


def test_D17_server_that_caps_ranges_costs_no_wait(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidefx_client.downloads.workers.BACKOFF", 30.0)

    def capped(connection: Connection, request: Request) -> None:
        start, end = start_of(request), start_of(request) + (64 << 10)
        told = {"ETag": ETAG, "Content-Range": f"bytes {start}-{end - 1}/{MIB}"}
        part = send(http_response(206, CONTENT[start:end], told)) if start else serve(upto=end)
        part(connection, request)

    with ScriptedServer(capped) as server:
        fetch(case, server, md5=md5(CONTENT))
        assert len(server.requests) == 16
    whole(case)


# Other processes and programs


def in_namespaces() -> list[str]:
    """Return a command that gives its process a PID and a UTS namespace of its own, or skip."""
    command = ["unshare", "--user", "--map-root-user", "--pid", "--uts", "--fork", "--kill-child"]
    if not shutil.which("unshare") or subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("unshare cannot make namespaces here")
    return command


@one_and_four
@pytest.mark.parametrize("contained", [False, True], ids=["processes", "containers"])
def test_D15_two_processes_with_one_target_leave_each_other_alone(
    case: Case, connections: int, contained: bool
) -> None:
    content = content_of(6 * MIB)
    slow, fast, target = Served(content, pause=0.1 * connections), Served(content), case.directory / NAME
    with ScriptedServer(slow) as first_server, ScriptedServer(fast) as second_server, contextlib.ExitStack() as stack:
        children = []
        for server in (first_server, second_server):
            arguments = (f"{server.url}/{NAME}", target, md5(content), connections)
            child = program(FETCHING, *arguments, prefix=in_namespaces() if contained else ())
            children.append(stack.enter_context(child))
            while not (server.requests and any(case.directory.glob(f"{NAME}*.part"))):
                assert child.poll() is None
                time.sleep(0.01)
        assert children[1].wait(30) == 0
        assert target.read_bytes() == content
        assert children[0].poll() is None
        os.kill(children[0].pid, signal.SIGKILL if contained else signal.SIGINT)  # Windows ends it at once
        children[0].wait(30)
        assert target.read_bytes() == content  # not truncated
    assert (case.directory / f"{NAME}.part").exists()
    with ScriptedServer(fast) as server:
        sidefx.download_file(f"{server.url}/{NAME}", target, md5=md5(content))
        assert start_of(server.requests[0]) > 0
    whole(case, content)


def test_D19_working_directory_may_change(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = case.directory / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(case.directory)
    with ScriptedServer([serve()]) as server:
        sidefx.download_file(f"{server.url}/{NAME}", NAME, progress=lambda *step: os.chdir(elsewhere))
    os.chdir(case.directory)  # Windows cannot remove the working directory
    elsewhere.rmdir()  # raises if it is not empty
    whole(case)


@one_and_four
def test_D19_partial_file_that_another_program_truncates_leaves_no_hole(case: Case, connections: int) -> None:
    content = content_of(6 * MIB)
    truncated: list[Path] = []

    def truncate(done: int, total: int | None) -> None:
        if done > 2 * MIB and not truncated:
            truncated.extend(case.directory.glob("*.part"))
            os.truncate(truncated[0], 0)

    with ScriptedServer(Served(content, pause=0.01)) as server:
        fetch(case, server, size=len(content), connections=connections, progress=truncate)
    assert truncated
    whole(case, content)


def test_D19_ctrl_c_just_before_the_move_keeps_the_complete_file(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: Any) -> None:
        raise KeyboardInterrupt

    with ScriptedServer([serve()]) as server:
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", interrupt)
            with pytest.raises(KeyboardInterrupt):
                fetch(case, server, size=MIB, md5=md5(CONTENT))
        fetch(case, server, size=MIB, md5=md5(CONTENT))
        assert len(server.requests) == 1
    whole(case)


@pytest.mark.parametrize("act", ["open", "os.remove"])
def test_D19_virus_scanner_opens_or_removes_the_file_before_the_move(
    case: Case, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    code = f"import os, sys, time; file = {act}(sys.argv[1]); print(flush=True); time.sleep(0.5)"
    replace = os.replace

    def scan_first(source: str, target: str) -> None:
        monkeypatch.setattr(os, "replace", replace)
        scanner = subprocess.Popen([sys.executable, "-c", code, source], stdout=subprocess.PIPE)
        stack.enter_context(scanner)
        assert scanner.stdout
        assert scanner.stdout.readline()
        replace(source, target)  # on Windows refused until the scanner closes the file

    monkeypatch.setattr(os, "replace", scan_first)
    with ScriptedServer(serve()) as server, contextlib.ExitStack() as stack:
        fetch(case, server, md5=md5(CONTENT))
        assert len(server.requests) == (1 if act == "open" else 2)
    whole(case)


@posix_only
@pytest.mark.parametrize("code", [37, 95, 38, None], ids=["ENOLCK", "EOPNOTSUPP", "ENOSYS", "granted twice"])
def test_D15_file_system_without_locks_never_gives_a_wrong_file(
    case: Case, monkeypatch: pytest.MonkeyPatch, code: int | None
) -> None:
    def flock(file: Any, operation: int) -> None:
        if code is not None:
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr("fcntl.flock", flock)
    other = content_of(MIB, seed=5)
    is_over = threading.Event()

    def pause_at_half(connection: Connection, request: Request) -> None:
        connection.send(head(request), CONTENT[: MIB // 2])
        assert is_over.wait(10)
        connection.send(CONTENT[MIB // 2 :])

    def fetch_other(done: int, total: int | None) -> None:
        if done == MIB // 2 and not is_over.is_set():
            with ScriptedServer(serve(other)) as server:
                assert fetch(case, server, md5=md5(other)).read_bytes() == other
            is_over.set()

    with ScriptedServer(pause_at_half) as server:
        fetch(case, server, md5=md5(CONTENT), progress=fetch_other)
    assert is_over.is_set()
    whole(case)


@pytest.mark.parametrize("known", [{"size": MIB}, {}], ids=["known size", "unknown size"])
@pytest.mark.parametrize(("free", "fits"), [(MIB - 1, False), (MIB, True), (0, True), (None, True)])
def test_D21_too_little_space_raises_before_the_first_byte(
    case: Case, monkeypatch: pytest.MonkeyPatch, free: int | None, fits: bool, known: dict[str, int]
) -> None:
    def disk_usage(path: Path) -> Any:
        if free is None:
            raise OSError(errno.ENOSYS, "cannot tell")
        return type("Usage", (), {"free": free})

    monkeypatch.setattr("shutil.disk_usage", disk_usage)
    is_refused = case.raises(OSError, match=r"Errno 28\] not enough disk space")
    with ScriptedServer([serve()]) as server, contextlib.nullcontext() if fits else is_refused:
        fetch(case, server, **known)
        whole(case)
    assert len(server.requests) == (fits or not known)
    assert left(case.directory) == [NAME] * fits
