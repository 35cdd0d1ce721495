"""D: downloads that are killed, stall, or are interrupted, and the runs after them."""

from __future__ import annotations

import os
import random
import signal
import sys
import time

import pytest
from support.case import Case
from support.downloads import FETCHING, left, md5, program
from support.files import CONTENT, ETAG, NAME, cut_200, fetch, head, keep_partial, serve, start_of, starts, whole
from support.scripted import Action, Connection, Request, ScriptedServer, http_response, stall
from support.scripted import send_before_body as send
from support.served import MIB, Served, content_of
from support.systems import needs_proc

import sidefx_client as sidefx

pytestmark = pytest.mark.usefixtures("hasty")


# Windows has no signals for other processes: SIGTERM ends them there as SIGKILL does.
SIGNALS = ["SIGTERM"] if sys.platform == "win32" else ["SIGKILL", "SIGTERM", "SIGINT"]


@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("points", [4, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.parametrize("connections", [1, 4])
def test_D11_D15_ended_download_is_resumed_by_the_next_run(
    case: Case, connections: int, points: int, name: str
) -> None:
    content = content_of(4 * MIB)
    served, target, chance = Served(content, pause=0.004), case.directory / NAME, random.Random(connections)
    complete = 0
    with ScriptedServer(served) as server:
        url = f"{server.url}/{NAME}"
        for _ in range(points):
            requests = len(served.asked)
            with program(FETCHING, url, target, md5(content), connections) as child:
                assert child.stdout is not None
                child.stdout.readline()
                while len(served.asked) == requests and child.poll() is None:
                    time.sleep(0.01)
                time.sleep(chance.uniform(0.02, 0.2))
                child.send_signal(getattr(signal, name))
            if target.exists():
                assert target.read_bytes() == content
                target.unlink()
                complete += 1
        sidefx.download_file(url, target, md5=md5(content), connections=connections)
        whole(case, content)
        assert sum(start > 0 for start in served.starts) >= points // 4
        # An end costs the bytes in flight, and with several connections also those after a hole.
        assert served.sent < (complete + 1) * len(content) + (points + 1) * connections * 2 * MIB


KILLED_AT_EACH_STEP = """
import hashlib, os, signal, sys
import sidefx_client as sidefx
from sidefx_client.downloads import workers

workers.BACKOFF = 0.01
url, target, md5 = sys.argv[1:]
folder = os.path.dirname(target)

def status_of_a_download(steps):
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1]

    def kill(event, args):
        nonlocal steps
        if event in ("open", "os.rename", "os.remove", "os.truncate") and str(args[0]).startswith(folder):
            steps -= 1
            if steps < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    try:
        sys.addaudithook(kill)
        sidefx.download_file(url, target, md5=md5)
        os._exit(0)
    finally:
        os._exit(1)

def is_right():
    with open(target, "rb") as file:
        return hashlib.md5(file.read()).hexdigest() == md5

step = 0
while status_of_a_download(step) == signal.SIGKILL:
    there = sorted(os.listdir(folder))
    assert not os.path.exists(target) or is_right(), (step, there)
    assert status_of_a_download(1000) == 0, (step, there)
    assert os.listdir(folder) == [os.path.basename(target)], (step, there, os.listdir(folder))
    assert is_right(), (step, there)
    os.remove(target)
    step += 1
print(step)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize(
    "rest", [serve(), send(http_response(200, CONTENT, {"ETag": ETAG}))], ids=["resumed", "restarted"]
)
def test_D11_download_killed_at_any_disk_access_leaves_no_wrong_file(case: Case, rest: Action) -> None:
    def cut_at_half(connection: Connection, request: Request) -> None:
        (rest if start_of(request) else cut_200())(connection, request)

    target = case.directory / NAME
    case.declared.add(target)
    with ScriptedServer(cut_at_half) as server:
        done = case.python(KILLED_AT_EACH_STEP, f"{server.url}/{NAME}", str(target), md5(CONTENT))
        assert done.stderr == ""
        assert int(done.stdout) >= 4


def test_D12_stall_is_resumed(case: Case, tls: str | None) -> None:
    def stall_at_half(connection: Connection, request: Request) -> None:
        connection.send(head(request), CONTENT[: MIB // 2])
        connection.stall()

    with ScriptedServer([stall_at_half, serve()], tls=tls) as server:
        fetch(case, server, md5=md5(CONTENT))
        assert starts(server) == [0, MIB // 2]
    whole(case)


REST = {"ETag": ETAG, "Content-Range": f"bytes {MIB // 2}-{MIB - 1}/{MIB}"}
SILENT = {"stall": stall, "empty": send(http_response(206, b"", REST, framed=False))}


@pytest.mark.parametrize("silent", SILENT.values(), ids=list(SILENT))
def test_D12_five_attempts_without_a_new_byte_raise_and_keep_the_partial_file(case: Case, silent: Action) -> None:
    with ScriptedServer([cut_200(), *[silent] * 5]) as server:
        with case.raises(sidefx.DownloadError) as caught:
            fetch(case, server)
        assert caught.value.http_code is None
        assert starts(server) == [0] + [MIB // 2] * 5
        keep_partial(case)
    with ScriptedServer([serve()]) as server:
        fetch(case, server, md5=md5(CONTENT))
        assert starts(server) == [MIB // 2]
    whole(case)


@pytest.mark.parametrize("status", [403, 404, 500])
def test_D12_error_status_raises_with_http_code(case: Case, tls: str | None, status: int) -> None:
    with ScriptedServer(send(http_response(status, "no such file")), tls=tls) as server:
        with case.raises(sidefx.DownloadError, match=str(status)) as caught:
            fetch(case, server)
        assert caught.value.http_code == status
    assert left(case.directory) == []


INTERRUPTED = """
import os, sys, threading
import sidefx_client as sidefx
phase, url, path = sys.argv[1:]
service = sidefx.service(access_token="", endpoint_url=url, timeout=None)
print("ready", flush=True)
try:
    if phase == "sending":
        service.bugs.submit_issue(scene=sidefx.File(path))
    elif phase == "receiving":
        sidefx.download_file(url, path)
    else:
        service.bugs.submit_issue()
except KeyboardInterrupt:
    service.close()
    links = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")[:-1]]
    print("interrupted", threading.active_count(), sum("socket" in link for link in links), flush=True)
"""


@needs_proc
@pytest.mark.parametrize("phase", ["sending", "receiving", "waiting", "backing off"])
def test_D13_ctrl_c_ends_any_request(case: Case, phase: str) -> None:
    def half_way(connection: Connection, request: Request) -> None:
        if phase == "receiving":
            connection.send(head(request), CONTENT[: MIB // 2])
        elif phase == "backing off":
            connection.read_body(request)
            connection.send(http_response(429, "slow down", {"Retry-After": "50"}))
        elif phase == "waiting":
            connection.read_body(request)
        connection.stall()

    path = case.sparse("scene.hip", 64 * MIB) if phase == "sending" else case.directory / NAME
    with ScriptedServer(half_way) as server:
        with program(INTERRUPTED, phase, server.api_url, path) as child:
            assert child.stdout is not None
            child.stdout.readline()
            while not server.requests:
                time.sleep(0.01)
            while phase == "receiving" and not any(
                part.stat().st_size >= MIB // 2 for part in case.directory.glob("*.part")
            ):
                assert child.poll() is None
                time.sleep(0.01)
            time.sleep(0.1)
            start = time.monotonic()
            child.send_signal(signal.SIGINT)
            assert child.stdout.readline().split() == ["interrupted", "1", "0"]
            assert child.wait(5) == 0
            assert time.monotonic() - start < 1
    if phase == "receiving":
        assert sum(part.stat().st_size for part in keep_partial(case)) >= MIB // 2
