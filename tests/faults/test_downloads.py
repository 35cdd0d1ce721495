"""D: files that come in pieces, come wrong, or do not come."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import requests
from scripted import Action, Connection, Request, ScriptedServer, Step, answer, json_answer, stall

import sidefx_client as sidefx
from faults.case import ROOT, SIGNATURE, TOKEN, Case, needs_proc, without_roots_powers
from sidefx_client import transfer

MIB = 1 << 20
CONTENT = random.Random(1).randbytes(MIB)
NAME = "houdini-20.5.445-linux.tar.gz"
ETAG = '"one"'


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "TIMEOUT", (5.0, 0.4))
    monkeypatch.setattr(transfer, "BACKOFF", 0.01)


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def start_of(request: Request) -> int:
    """Where the client wants to go on, 0 where it asks for the whole."""
    asked = request.header("Range")
    if asked is None:
        return 0
    assert asked.startswith("bytes="), asked
    assert asked.endswith("-"), asked
    return int(asked[6:-1])


def head(request: Request, content: bytes = CONTENT, *, etag: str | None = ETAG) -> bytes:
    """The head of an honest answer to the request."""
    start = start_of(request)
    headers = {"Content-Length": str(len(content) - start), "Content-Type": "application/x-tar"}
    if etag:
        headers["ETag"] = etag
    if not start:
        return answer(200, b"", headers)
    return answer(206, b"", {**headers, "Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"})


def serve(content: bytes = CONTENT, *, upto: int | None = None, etag: str | None = ETAG) -> Action:
    """Honours Range; with ``upto`` the connection is cut at that byte of the file."""

    def step(connection: Connection, request: Request) -> None:
        connection.send(head(request, content, etag=etag), content[start_of(request) : upto])
        if upto is not None:
            connection.finish()

    return step


def send(data: bytes) -> Action:
    """The same bytes whatever is asked for, then the end."""

    def step(connection: Connection, request: Request) -> None:
        connection.send(data)
        connection.finish()

    return step


def cut_200(upto: int = MIB // 2, etag: str | None = ETAG) -> Action:
    """Ignores Range, and is cut."""
    headers = {"Content-Length": str(MIB), **({"ETag": etag} if etag else {})}
    return send(answer(200, CONTENT[:upto], headers))


def starts(server: ScriptedServer) -> list[int]:
    return [start_of(request) for request in server.requests]


def session_for(server: ScriptedServer) -> requests.Session:
    session = requests.Session()
    if server.ca_bundle:
        session.verify = server.ca_bundle
    return session


def fetch(case: Case, server: ScriptedServer, **options: Any) -> Path:
    """The file under its final name, from a signed URL."""
    target = case.directory / NAME
    with session_for(server) as session:
        return sidefx.download_file(f"{server.url}/{NAME}?{SIGNATURE}", target, session=session, **options)


def left(case: Case) -> list[str]:
    return sorted(path.name for path in case.directory.iterdir())


def keep_partial(case: Case) -> list[Path]:
    """Declares the partial (and its sidecar) that a failed download has to leave."""
    partials = [path for path in case.directory.iterdir() if path.name != NAME]
    assert partials, "no partial was kept"
    case.declared.update(partials)
    return partials


def whole(case: Case) -> None:
    target = case.directory / NAME
    assert target.read_bytes() == CONTENT
    assert left(case) == [NAME]
    case.declared.add(target)


def test_D1_two_cuts_and_the_rest_are_three_requests(case: Case, tls: str | None) -> None:
    script = [serve(upto=300_000), serve(upto=700_000), serve()]
    with ScriptedServer(script, tls=tls) as server:
        assert fetch(case, server, md5=md5(CONTENT)) == case.directory / NAME
        assert starts(server) == [0, 300_000, 700_000]
        assert server.requests[1].header("If-Range") == ETAG
        assert server.requests[1].header("Accept-Encoding") == "identity"
    whole(case)


def test_D2_a_range_that_is_ignored_starts_again(case: Case, tls: str | None) -> None:
    with ScriptedServer([cut_200(), send(answer(200, CONTENT, {"ETag": ETAG}))], tls=tls) as server:
        fetch(case, server, md5=md5(CONTENT))
        assert starts(server) == [0, MIB // 2]
    whole(case)


def lie(range_sent: str | None, body: bytes) -> Action:
    """A 206 that is not what was asked for."""
    return send(answer(206, body, {"ETag": ETAG, **({"Content-Range": range_sent} if range_sent else {})}))


HALF = CONTENT[MIB // 2 :]
LIES = [
    pytest.param(lie(None, HALF), id="no Content-Range"),
    pytest.param(lie(f"bytes 0-{MIB // 2 - 1}/{MIB}", CONTENT[: MIB // 2]), id="another start"),
    pytest.param(lie(f"bytes {MIB // 2 + 1}-{MIB - 1}/{MIB}", HALF[1:]), id="a gap"),
    pytest.param(lie(f"bytes {MIB // 2}-{MIB - 1}/{MIB + 5}", HALF), id="another size"),
    pytest.param(lie("chapters 1-2/3", HALF), id="another unit"),
    pytest.param(lie("bytes nonsense", HALF), id="nonsense"),
]


@pytest.mark.parametrize("lying", LIES)
def test_D2_a_range_that_is_lied_about_is_never_appended(case: Case, lying: Action) -> None:
    with ScriptedServer([cut_200(), lying, serve()]) as server:
        fetch(case, server, md5=md5(CONTENT))
        assert starts(server) == [0, MIB // 2, 0]
    whole(case)


@pytest.mark.parametrize("lying", LIES)
def test_D2_a_server_that_goes_on_lying_is_given_up(case: Case, lying: Action) -> None:
    def honest_only_at_first(connection: Connection, request: Request) -> None:
        (lying if start_of(request) else cut_200())(connection, request)

    with ScriptedServer(honest_only_at_first) as server:
        with case.raises(sidefx.DownloadError):
            fetch(case, server)
        assert len(server.requests) <= 4
        assert starts(server).count(0) <= 2
    assert NAME not in left(case)
    case.declared.update(case.directory.iterdir())


def partial_of(case: Case, content: bytes) -> None:
    """Leaves a partial of ``content`` behind, as a run that was cut does."""

    def once(connection: Connection, request: Request) -> None:
        connection.send(answer(200, content, {"Content-Length": str(len(content) + 5), "ETag": ETAG}))
        connection.finish()

    with ScriptedServer([once, *[answer(503, "no more")] * 10]) as server:
        with pytest.raises(sidefx.DownloadError):
            fetch(case, server, md5=md5(CONTENT))


def range_not_satisfiable(size: int = MIB) -> bytes:
    return answer(416, b"", {"Content-Range": f"bytes */{size}"})


def test_D3_a_416_for_a_partial_that_is_the_whole_file_finishes_it(case: Case) -> None:
    partial_of(case, CONTENT)
    with ScriptedServer([range_not_satisfiable()]) as server:
        fetch(case, server, md5=md5(CONTENT))
        assert starts(server) == [MIB]
    whole(case)


@pytest.mark.parametrize("content", [CONTENT + b"more", CONTENT[:-1] + b"?"], ids=["longer", "wrong"])
def test_D3_a_416_for_any_other_partial_starts_once_more(case: Case, content: bytes) -> None:
    partial_of(case, content)
    with ScriptedServer([range_not_satisfiable(), serve()]) as server:
        try:
            fetch(case, server, md5=md5(CONTENT))
        except sidefx.ChecksumError:  # a full partial of the right size is verified first, and the next run starts anew
            fetch(case, server, md5=md5(CONTENT))
        assert starts(server)[-1] == 0
    whole(case)


def test_D3_a_416_for_ever_is_an_error(case: Case) -> None:
    partial_of(case, CONTENT[:1000])
    with ScriptedServer(range_not_satisfiable(500)) as server:
        with case.raises(sidefx.DownloadError) as caught:
            fetch(case, server, md5=md5(CONTENT))
        assert caught.value.http_code == 416
        assert len(server.requests) <= 3
    case.declared.update(case.directory.iterdir())


def test_D4_a_wrong_checksum_leaves_the_older_file_and_the_next_run_starts_anew(case: Case, tls: str | None) -> None:
    old = case.write(NAME, b"the older file")
    with ScriptedServer([serve(), serve()], tls=tls) as server:
        with case.raises(sidefx.ChecksumError):
            fetch(case, server, md5=md5(b"other"))
        assert old.read_bytes() == b"the older file"
        assert left(case) == [NAME]
        fetch(case, server, md5=md5(CONTENT))
        assert starts(server) == [0, 0]
    whole(case)


@pytest.mark.parametrize("known", [{"size": MIB}, {"md5": md5(CONTENT)}])
def test_D5_a_file_of_unknown_length_that_was_cut_is_no_file(
    case: Case, tls: str | None, known: dict[str, Any]
) -> None:
    short = send(answer(200, CONTENT[: MIB // 2], framed=False))
    with ScriptedServer(short, tls=tls) as server:
        with pytest.raises(sidefx.DownloadError):
            fetch(case, server, **known)
        assert len(server.requests) <= 6
    assert NAME not in left(case)
    case.declared.update(case.directory.iterdir())


def build(server: ScriptedServer, query: str, **changes: Any) -> bytes:
    """What the API says of a build."""
    return json_answer(
        {
            "date": "2025/10/01",
            "download_url": f"{server.url}/{NAME}?{query}",
            "filename": NAME,
            "hash": md5(CONTENT),
            "releases_list": "gold",
            "size": MIB,
            "status": "good",
            **changes,
        }
    )


class API:
    """Answers calls with the builds given, one after the other, and hands files to ``files``."""

    def __init__(self, files: Sequence[Action], *builds: dict[str, Any]) -> None:
        self.server: ScriptedServer
        self.signed: list[Request] = []
        self._files = iter(files)
        self._builds = iter(builds)

    def __call__(self, connection: Connection, request: Request) -> None:
        if request.method == "POST":
            connection.read_body(request)
            connection.send(build(self.server, f"{SIGNATURE}{len(self.server.requests)}", **next(self._builds)))
        else:
            self.signed.append(request)
            next(self._files)(connection, request)


def fetch_build(case: Case, api: API, tls: str | None = None, directory: Path | None = None, **options: Any) -> Path:
    with ScriptedServer(api, tls=tls) as server:
        api.server = server
        with case.service(server) as service:
            target: Path = sidefx.download_build(
                service, "houdini", "20.5", 445, "linux", directory=directory or case.directory, **options
            )
            return target


FORBIDDEN = send(answer(403, "the signature has expired"))


def test_D6_a_signed_url_that_dies_midway_is_renewed_and_the_file_resumed(case: Case, tls: str | None) -> None:
    api = API([cut_200(), FORBIDDEN, serve()], {}, {})
    assert fetch_build(case, api, tls) == case.directory / NAME
    assert [start_of(request) for request in api.signed] == [0, MIB // 2, MIB // 2]
    assert api.signed[1].path != api.signed[2].path
    whole(case)


def test_D6_another_file_behind_the_new_url_is_not_appended(case: Case) -> None:
    other = random.Random(2).randbytes(MIB + 3)
    renewed = {"size": len(other), "hash": md5(other)}
    api = API([cut_200(), FORBIDDEN, serve(other, etag='"two"')], {}, renewed)
    fetch_build(case, api)
    assert start_of(api.signed[-1]) == 0
    assert (case.directory / NAME).read_bytes() == other
    assert left(case) == [NAME]
    case.declared.add(case.directory / NAME)


def test_D6_a_url_that_is_refused_twice_is_an_error(case: Case) -> None:
    api = API([FORBIDDEN, FORBIDDEN], {}, {})
    with case.raises(sidefx.DownloadError, match="signature has expired|403") as caught:
        fetch_build(case, api)
    assert caught.value.http_code == 403
    case.declared.update(case.directory.iterdir())


def redirect(target: str) -> bytes:
    return answer(302, b"", {"Location": target, "Set-Cookie": "session=1; Path=/"})


def test_D7_another_host_sees_no_token_no_cookie_and_no_referer(case: Case, tls: str | None) -> None:
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


@pytest.mark.parametrize("target", ["http://files.invalid/x", "ftp://127.0.0.1/x", "file:///etc/passwd", "http://"])
def test_D7_a_redirect_to_an_unsafe_place_is_refused(case: Case, connects: list[Any], target: str) -> None:
    with ScriptedServer([redirect(target)], tls="good") as server:
        with pytest.raises((sidefx.DownloadError, sidefx.ConfigError)):
            fetch(case, server)
        assert {address[1] for address in connects} == {server.port}
    assert left(case) == []


def test_D7_a_redirect_is_followed_anew_for_each_try(case: Case) -> None:
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
def test_D8_a_name_from_the_server_stays_inside_the_directory(case: Case, name: Any) -> None:
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
import errno, resource, signal, sys
import sidefx_client as sidefx
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
try:
    sidefx.download_file(sys.argv[1], sys.argv[2], md5=sys.argv[3])
except OSError as error:
    print(type(error).__name__, error.errno == errno.EFBIG)
"""


def test_D9_a_full_disk_keeps_its_errno_and_the_partial(case: Case) -> None:
    with ScriptedServer([serve(), serve()]) as server:
        done = case.python(FULL_DISK, f"{server.url}/{NAME}", str(case.directory / NAME), md5(CONTENT))
        assert (done.stdout.split(), done.stderr) == (["OSError", "True"], "")
        assert len(server.requests) == 1
        assert NAME not in left(case)
        keep_partial(case)
        fetch(case, server, md5=md5(CONTENT))
        assert starts(server)[1] > 0
    whole(case)


NO_ROOM_AT_ALL = """
import os, resource, signal, sys
import sidefx_client as sidefx
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
try:
    sidefx.download_file(sys.argv[1], sys.argv[2], md5=sys.argv[3])
except OSError:
    print([fd for fd in os.listdir("/proc/self/fd") if int(fd) > 3])  # 3: of the listing itself
"""


@needs_proc
def test_D9_a_disk_that_does_not_even_take_the_note_leaves_nothing_open(case: Case) -> None:
    with ScriptedServer(serve()) as server:
        done = case.python(NO_ROOM_AT_ALL, f"{server.url}/{NAME}", str(case.directory / NAME), md5(CONTENT))
        assert (done.stdout.split(), done.stderr) == (["[]"], "")
        assert len(server.requests) == 1


def test_D9_a_missing_directory_is_an_error_before_any_request(case: Case, connects: list[Any]) -> None:
    with ScriptedServer() as server:
        with pytest.raises(FileNotFoundError):
            sidefx.download_file(server.url, case.directory / "missing" / NAME)
        assert connects == []


@pytest.mark.skipif(os.name != "posix", reason="mode bits are POSIX'")
def test_D9_a_read_only_directory_is_an_error_before_any_request(case: Case, connects: list[Any]) -> None:
    locked = case.directory / "locked"
    locked.mkdir(mode=0o555)
    with ScriptedServer() as server, without_roots_powers():
        with pytest.raises(PermissionError):
            sidefx.download_file(server.url, locked / NAME)
        assert connects == []


def test_D10_a_file_that_is_there_and_right_is_not_asked_for(case: Case) -> None:
    target = case.write(NAME, CONTENT)
    before = target.stat().st_mtime_ns
    api = API([], {})
    assert fetch_build(case, api) == target
    assert api.signed == []
    assert target.stat().st_mtime_ns == before


@pytest.mark.parametrize("content", [b"short", CONTENT[:-1] + b"?"], ids=["shorter", "as long"])
def test_D10_a_file_that_is_there_and_wrong_is_replaced_only_by_a_right_one(case: Case, content: bytes) -> None:
    target = case.write(NAME, content)
    wrong = random.Random(3).randbytes(MIB)
    with ScriptedServer([serve(wrong), serve()]) as server:
        with case.raises(sidefx.ChecksumError):
            fetch(case, server, size=MIB, md5=md5(CONTENT))
        assert target.read_bytes() == content
        fetch(case, server, size=MIB, md5=md5(CONTENT))
    whole(case)


FETCHING = """
import sys
import sidefx_client as sidefx
print("ready", flush=True)
sidefx.download_file(sys.argv[1], sys.argv[2], md5=sys.argv[3])
"""


def test_D11_a_download_that_is_killed_anywhere_resumes_in_the_next_run(case: Case) -> None:
    def slowly(connection: Connection, request: Request) -> None:
        connection.send(head(request), pause=0.005)
        start = start_of(request)
        connection.send(*(CONTENT[at : at + 65536] for at in range(start, MIB, 65536)), pause=0.002)

    target = case.directory / NAME
    chance = random.Random(11)
    resumed = 0
    with ScriptedServer(slowly) as server:
        command = [sys.executable, "-c", FETCHING, f"{server.url}/{NAME}", str(target), md5(CONTENT)]
        for _ in range(20):
            before = len(server.requests)
            with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": ROOT}) as child:
                assert child.stdout is not None
                child.stdout.readline()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(chance.uniform(0.0, 0.07))
                child.kill()
            resumed += any(start_of(request) for request in server.requests[before:])
            if target.exists():
                assert target.read_bytes() == CONTENT
                target.unlink()
        fetch(case, server, md5=md5(CONTENT))
    assert resumed
    whole(case)


KILLED_AT_EACH_STEP = """
import hashlib, os, signal, sys
import sidefx_client as sidefx
from sidefx_client import transfer

transfer.BACKOFF = 0.01
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
@pytest.mark.parametrize("rest", [serve(), send(answer(200, CONTENT, {"ETag": ETAG}))], ids=["resumed", "restarted"])
def test_D11_a_download_that_is_killed_at_any_step_on_the_disk_leaves_nothing_behind(case: Case, rest: Action) -> None:
    def cut_at_half(connection: Connection, request: Request) -> None:
        (rest if start_of(request) else cut_200())(connection, request)

    target = case.directory / NAME
    case.declared.add(target)
    with ScriptedServer(cut_at_half) as server:
        done = case.python(KILLED_AT_EACH_STEP, f"{server.url}/{NAME}", str(target), md5(CONTENT))
        assert done.stderr == ""
        assert int(done.stdout) >= 4


def test_D12_a_stall_is_reconnected_and_resumed(case: Case, tls: str | None) -> None:
    def stall_at_half(connection: Connection, request: Request) -> None:
        connection.send(head(request), CONTENT[: MIB // 2])
        connection.stall()

    with ScriptedServer([stall_at_half, serve()], tls=tls) as server:
        fetch(case, server, md5=md5(CONTENT))
        assert starts(server) == [0, MIB // 2]
    whole(case)


def test_D12_five_tries_without_a_new_byte_are_an_error_and_the_partial_is_kept(case: Case, tls: str | None) -> None:
    with ScriptedServer([cut_200(), *[stall] * 5], tls=tls) as server:
        with case.raises(sidefx.DownloadError) as caught:
            fetch(case, server)
        assert caught.value.http_code is None
        assert starts(server) == [0] + [MIB // 2] * 5
        keep_partial(case)
    with ScriptedServer([serve()], tls=tls) as server:
        fetch(case, server, md5=md5(CONTENT))
        assert starts(server) == [MIB // 2]
    whole(case)


@pytest.mark.parametrize("status", [403, 404, 500])
def test_D12_a_refused_file_is_an_error_with_the_status(case: Case, tls: str | None, status: int) -> None:
    with ScriptedServer(send(answer(status, "no such file")), tls=tls) as server:
        with case.raises(sidefx.DownloadError, match=str(status)) as caught:
            fetch(case, server)
        assert caught.value.http_code == status
    assert left(case) == []


INTERRUPTED = """
import os, sys, threading
import sidefx_client as sidefx
what, url, path = sys.argv[1:]
service = sidefx.service(access_token="", endpoint_url=url, timeout=None)
print("ready", flush=True)
try:
    if what == "sending":
        service.bugs.submit_issue(scene=sidefx.File(path))
    elif what == "receiving":
        sidefx.download_file(url, path)
    else:
        service.bugs.submit_issue()
except KeyboardInterrupt:
    service.close()
    links = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")[:-1]]
    print("interrupted", threading.active_count(), sum("socket" in link for link in links), flush=True)
"""


@needs_proc
@pytest.mark.parametrize("what", ["sending", "receiving", "waiting", "backing off"])
def test_D13_ctrl_c_ends_whatever_is_under_way(case: Case, what: str) -> None:
    def half_way(connection: Connection, request: Request) -> None:
        if what == "receiving":
            connection.send(head(request), CONTENT[: MIB // 2])
        elif what == "backing off":
            connection.read_body(request)
            connection.send(answer(429, "slow down", {"Retry-After": "50"}))
        elif what == "waiting":
            connection.read_body(request)
        connection.stall()

    path = case.sparse("scene.hip", 64 * MIB) if what == "sending" else case.directory / NAME
    with ScriptedServer(half_way) as server:
        command = [sys.executable, "-c", INTERRUPTED, what, server.api_url, str(path)]
        environment = {**os.environ, "PYTHONPATH": ROOT}
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as child:
            assert child.stdout is not None
            child.stdout.readline()
            while not server.requests:
                time.sleep(0.01)
            time.sleep(0.1)
            start = time.monotonic()
            child.send_signal(signal.SIGINT)
            assert child.stdout.readline().split() == ["interrupted", "1", "0"]
            assert child.wait(5) == 0
            assert time.monotonic() - start < 1
    if what == "receiving":
        assert sum(part.stat().st_size for part in keep_partial(case)) >= MIB // 2
