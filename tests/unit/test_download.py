"""Downloads over one connection, or over any number: resuming, refusing and cancelling; the numbered faults aside."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from support.downloads import NAME, QUERY, fetch, kept, left, md5, program
from support.scripted import ScriptedServer, Step, answer, cut, keep
from support.served import BLOCK, MIB, Served, content_of

import sidefx_client as sidefx
from sidefx_client.testing import LocalServer

CONTENT = content_of(4 * MIB)
HALF = len(CONTENT) // 2
needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc/self/status")
by_one_and_by_four = pytest.mark.parametrize("connections", [1, 4])


pytestmark = pytest.mark.usefixtures("hasty")


def test_a_file_is_one_request_for_the_bytes_as_they_are_stored(tmp_path: Path) -> None:
    coded = Served(CONTENT, headers={"Content-Encoding": "gzip"})
    with ScriptedServer(coded, tls="good") as server:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("REQUESTS_CA_BUNDLE", str(server.ca_bundle))
            assert fetch(server, tmp_path, size=len(CONTENT), md5=md5(CONTENT).upper()) == CONTENT
        assert coded.asked == [None]
        assert server.requests[0].header("Accept-Encoding") == "identity"


@by_one_and_by_four
@pytest.mark.parametrize("size", [0, 1, BLOCK])
def test_a_small_file_is_one_request(tmp_path: Path, size: int, connections: int) -> None:
    served = Served(CONTENT[:size])
    with ScriptedServer(served) as server:
        assert fetch(server, tmp_path, connections=connections) == CONTENT[:size]
        assert len(served.asked) == 1


def test_a_file_of_unknown_length_is_reported_with_no_total(tmp_path: Path) -> None:
    seen: list[Any] = []
    with ScriptedServer(Served(CONTENT, length=False)) as server:
        assert fetch(server, tmp_path, progress=lambda *step: seen.append(step)) == CONTENT
    assert seen[0] == (0, None)
    assert seen[-1] == (len(CONTENT), None)


def test_a_resume_after_a_cut_at_half_costs_the_other_half(tmp_path: Path) -> None:
    served = Served(CONTENT, cuts=[HALF])
    with ScriptedServer(served) as server:
        assert fetch(server, tmp_path, md5=md5(CONTENT)) == CONTENT
        assert served.starts == [0, HALF]
        assert served.sent - HALF <= 0.55 * len(CONTENT)


@pytest.mark.parametrize("headers", [{"ETag": '"one"'}, {"Last-Modified": "Sat, 01 Nov 2025 10:00:00 GMT"}])
def test_the_next_run_goes_on_where_the_file_has_a_validator(tmp_path: Path, headers: dict[str, str]) -> None:
    stop_half_way(tmp_path, headers=headers)
    start = len(kept(tmp_path))
    served = Served(CONTENT, headers=headers)
    with ScriptedServer(served) as server:
        assert fetch(server, tmp_path) == CONTENT
        assert served.starts == [start]
        assert server.requests[0].header("If-Range") in headers.values()


def stop_half_way(directory: Path, headers: dict[str, str] | None = None, name: str = NAME, **options: Any) -> None:
    """A run that its caller cancels."""

    class Cancel(Exception):
        pass

    def cancel(done: int, total: int | None) -> None:
        if done >= HALF:
            raise Cancel

    with ScriptedServer(Served(CONTENT, headers=headers, pause=0.01)) as server:
        with pytest.raises(Cancel):
            sidefx.download_file(f"{server.url}/{name}", directory / NAME, progress=cancel, **options)


def test_another_file_under_the_same_name_is_not_gone_on_with(tmp_path: Path) -> None:
    stop_half_way(tmp_path, name="another.tar.gz")
    served = Served(CONTENT)
    with ScriptedServer(served) as server:
        assert fetch(server, tmp_path) == CONTENT
        assert served.asked == [None]


@pytest.mark.parametrize("known", [{"size": len(CONTENT) - 1}, {"md5": md5(b"another")}])
def test_a_file_that_is_known_to_be_another_is_not_gone_on_with(tmp_path: Path, known: dict[str, Any]) -> None:
    stop_half_way(tmp_path, md5=md5(CONTENT))
    served = Served(CONTENT)
    with ScriptedServer(served) as server:
        with pytest.raises(sidefx.DownloadError):
            fetch(server, tmp_path, **known)
        assert served.asked == [None]
    assert left(tmp_path) == []


def test_a_changed_file_starts_again(tmp_path: Path) -> None:
    stop_half_way(tmp_path)
    other = content_of(len(CONTENT), seed=2)
    with ScriptedServer(Served(other, headers={"ETag": '"two"'})) as server:
        assert fetch(server, tmp_path) == other


def test_a_server_without_validators_is_trusted_where_the_md5_is_known_and_not_else(tmp_path: Path) -> None:
    for known, starts in ({"md5": md5(CONTENT)}, [0, HALF]), ({}, [0, 0]):
        served = Served(CONTENT, headers={}, cuts=[HALF])
        with ScriptedServer(served) as server:
            assert fetch(server, tmp_path, **known) == CONTENT
            assert served.starts == starts
        (tmp_path / NAME).unlink()


def test_what_nobody_could_know_again_is_not_left(tmp_path: Path) -> None:
    stop_half_way(tmp_path, headers={})
    assert left(tmp_path) == []


ERRORS = [OSError(28, "mine"), sidefx.TransportError("mine"), ConnectionResetError(), KeyboardInterrupt(), EOFError()]


@by_one_and_by_four
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_what_progress_raises_reaches_the_caller_unchanged(
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


def test_a_download_that_is_cancelled_at_once_closes_its_connection(tmp_path: Path) -> None:
    closed = threading.Event()
    part = answer(200, CONTENT[:100], {"ETag": '"one"', "Content-Length": str(len(CONTENT))})

    def cancel(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with ScriptedServer([keep(part, closed)]) as server:
        with pytest.raises(KeyboardInterrupt) as caught:
            fetch(server, tmp_path, progress=cancel)
        assert closed.wait(5), f"{caught.value!r} keeps its connection open"


@by_one_and_by_four
def test_progress_is_the_callers_threads_and_goes_up_to_the_total(tmp_path: Path, connections: int) -> None:
    seen: list[Any] = []
    with ScriptedServer(Served(CONTENT, pause=0.01)) as server:
        fetch(
            server,
            tmp_path,
            connections=connections,
            progress=lambda done, total: seen.append((done, total, threading.current_thread())),
        )
    assert {thread for _, _, thread in seen} == {threading.current_thread()}
    done = [step[0] for step in seen]
    assert (done[0], done[-1]) == (0, len(CONTENT))
    assert done == sorted(done)
    assert {total for _, total, _ in seen} == {len(CONTENT)}
    assert len(done) > 3


def test_progress_goes_back_where_the_file_starts_again(tmp_path: Path) -> None:
    done: list[int] = []
    with ScriptedServer(Served(CONTENT, ranges=False, cuts=[HALF], pause=0.005)) as server:
        fetch(server, tmp_path, progress=lambda at, total: done.append(at))
    assert done.count(0) == 2


@pytest.mark.parametrize("status", [429, 503])
def test_a_retry_after_is_waited_for(tmp_path: Path, status: int) -> None:
    with ScriptedServer([answer(status, b"", {"Retry-After": "1"}), Served(CONTENT)]) as server:
        fetch(server, tmp_path)
        first, second = server.requests
        assert 1 <= second.time - first.time < 2


def test_a_retry_after_of_more_than_two_minutes_is_raised_to_the_caller(tmp_path: Path) -> None:
    with ScriptedServer([answer(429, b"", {"Retry-After": "121"})]) as server:
        with pytest.raises(sidefx.DownloadError, match="121 s") as caught:
            fetch(server, tmp_path)
    assert caught.value.http_code == 429


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_server_that_stays_busy_is_an_error_with_its_status(tmp_path: Path, status: int) -> None:
    with ScriptedServer(answer(status)) as server:
        with pytest.raises(sidefx.DownloadError) as caught:
            fetch(server, tmp_path)
        assert len(server.requests) == 5
    assert caught.value.http_code == status
    assert "kept" not in str(caught.value)


def test_an_error_says_whether_something_is_kept(tmp_path: Path) -> None:
    for headers, found in ({"ETag": '"one"'}, HALF), ({}, 0):
        half = cut(answer(200, CONTENT[:HALF], {**headers, "Content-Length": str(len(CONTENT))}))
        with ScriptedServer([half, answer(403)]) as server:
            with pytest.raises(sidefx.DownloadError, match="403 Forbidden") as caught:
                fetch(server, tmp_path)
        assert len(kept(tmp_path)) == found
        assert str(caught.value).endswith("(the partial file is kept for the next run)") == (found > 0)
        for path in tmp_path.iterdir():
            path.unlink()


def test_the_host_that_answered_is_named_and_not_the_one_that_led_there(tmp_path: Path) -> None:
    with ScriptedServer(answer(404)) as storage:
        with ScriptedServer(answer(302, headers={"Location": f"{storage.url}/?{QUERY}"})) as server:
            with pytest.raises(sidefx.DownloadError, match=f"^{storage.url} responded with 404 Not Found$"):
                fetch(server, tmp_path)


def test_a_server_that_is_cut_sooner_or_later_and_has_no_ranges_is_given_up(tmp_path: Path) -> None:
    served = Served(CONTENT, ranges=False, cuts=[HALF, HALF // 2] * 10)
    with ScriptedServer(served) as server:
        with pytest.raises(sidefx.DownloadError, match="5 attempts"):
            fetch(server, tmp_path)
    assert len(served.asked) == 7


def test_a_bad_certificate_is_told_at_the_first_try(tmp_path: Path) -> None:
    with ScriptedServer(tls="self-signed") as server:
        with pytest.raises(sidefx.TransportError, match="certificate was refused") as caught:
            fetch(server, tmp_path)
        assert server.connections == 1
    assert caught.value.lasting


def test_a_download_that_failed_leaves_no_connection_open(tmp_path: Path) -> None:
    closed = threading.Event()
    with ScriptedServer([keep(answer(200, CONTENT), closed)]) as server:
        with pytest.raises(sidefx.ChecksumError) as caught:
            fetch(server, tmp_path, md5=md5(b"another"))
        assert closed.wait(5), f"{caught.value!r} keeps its connection open"


@pytest.mark.parametrize("framing", [{"Connection": "close"}, {"Transfer-Encoding": "chunked"}])
def test_more_bytes_than_the_file_has_are_an_error(tmp_path: Path, framing: dict[str, str]) -> None:
    chunked = b"5\r\nabcde\r\n0\r\n\r\n"
    body = chunked if "Transfer-Encoding" in framing else b"abcde"
    with ScriptedServer(cut(answer(200, body, {"ETag": '"one"', **framing}, framed=False))) as server:
        with pytest.raises(sidefx.DownloadError, match="more than"):
            fetch(server, tmp_path, size=4)
    assert left(tmp_path) == []


def test_a_page_in_place_of_the_file_leaves_the_partial_alone(tmp_path: Path) -> None:
    stop_half_way(tmp_path, size=len(CONTENT))
    before = kept(tmp_path)
    with ScriptedServer(answer(200, "<html>log in to the network first</html>")) as server:
        with pytest.raises(sidefx.DownloadError, match="40 bytes"):
            fetch(server, tmp_path, size=len(CONTENT))
    assert kept(tmp_path) == before


def test_a_416_to_a_request_for_the_whole_is_no_empty_file(tmp_path: Path) -> None:
    with ScriptedServer(answer(416, b"", {"Content-Range": "bytes */0"})) as server:
        with pytest.raises(sidefx.DownloadError) as caught:
            fetch(server, tmp_path)
    assert caught.value.http_code == 416
    assert left(tmp_path) == []


def test_a_range_of_nobody_knows_how_much_is_not_appended(tmp_path: Path) -> None:
    def part(start: int) -> bytes:
        return answer(206, CONTENT[start:], {"ETag": '"one"', "Content-Range": f"bytes {start}-{len(CONTENT) - 1}/*"})

    chunked = {"ETag": '"one"', "Transfer-Encoding": "chunked"}
    half = cut(answer(200, b"%x\r\n" % len(CONTENT) + CONTENT[:HALF], chunked, framed=False))
    steps: list[Step] = [half, cut(part(HALF)), Served(CONTENT)]
    with ScriptedServer(steps) as server:
        assert fetch(server, tmp_path) == CONTENT
        assert server.requests[2].header("Range") is None


def test_a_partial_that_somebody_took_away_is_started_again_once(tmp_path: Path) -> None:
    def steal(done: int, total: int | None) -> None:
        for partial in tmp_path.glob("*.part") if done else ():
            partial.unlink()

    served = Served(CONTENT)
    with ScriptedServer(served) as server:
        with pytest.raises(FileNotFoundError):
            fetch(server, tmp_path, progress=steal)
        assert served.asked == [None, None]
    assert not list(tmp_path.glob("*.part"))


def test_a_target_that_cannot_be_replaced_keeps_the_whole_file_for_the_next_run(tmp_path: Path) -> None:
    served = Served(CONTENT)
    with ScriptedServer(served) as server:
        with pytest.raises(OSError):
            fetch(server, tmp_path, md5=md5(CONTENT), progress=lambda *step: (tmp_path / NAME).mkdir(exist_ok=True))
        (tmp_path / NAME).rmdir()
        assert fetch(server, tmp_path, size=len(CONTENT), md5=md5(CONTENT)) == CONTENT
        assert served.asked == [None]


@pytest.mark.parametrize(
    "location",
    [f"http://[{QUERY}", f"https://user:{QUERY}@localhost/", f"http://files.invalid/?{QUERY}", "https://\udcff/"],
)
def test_a_redirect_that_cannot_be_followed_is_told_without_its_query(tmp_path: Path, location: str) -> None:
    with ScriptedServer(
        [answer(302, b"", {"Location": location.encode("utf-8", "replace").decode("latin-1")})]
    ) as server:
        with pytest.raises(sidefx.DownloadError) as caught:
            fetch(server, tmp_path)
    assert QUERY not in repr(caught.value)


@pytest.mark.parametrize(
    "options",
    [{"size": -1}, {"size": "5"}, {"md5": "abc"}, {"md5": 5}, {"progress": 1}, {"connections": 0}, {"session": 1}],
)
def test_a_bad_option_is_refused_before_anything_is_sent(tmp_path: Path, options: dict[str, Any]) -> None:
    with ScriptedServer() as server:
        with pytest.raises(sidefx.ConfigError) as caught:
            fetch(server, tmp_path, **options)
        assert QUERY not in str(caught.value)
    assert left(tmp_path) == []


KILLED = """
import sys
import sidefx_client as sidefx
url, path, md5, connections = sys.argv[1:]
print("ready", flush=True)
sidefx.download_file(url, path, md5=md5, connections=int(connections))
"""


@by_one_and_by_four
def test_a_download_that_is_killed_at_twenty_points_goes_on_each_time(tmp_path: Path, connections: int) -> None:
    served, chance, target = Served(CONTENT, pause=0.004), random.Random(connections), tmp_path / NAME
    whole = 0
    with ScriptedServer(served) as server:
        for _ in range(20):
            with program(KILLED, f"{server.url}/{NAME}", target, md5(CONTENT), connections) as child:
                assert child.stdout is not None
                child.stdout.readline()
                time.sleep(chance.uniform(0.02, 0.2))
                child.kill()
            if target.exists():
                assert target.read_bytes() == CONTENT
                assert left(tmp_path) == [NAME]
                target.unlink()
                whole += 1
        assert fetch(server, tmp_path, md5=md5(CONTENT), connections=connections) == CONTENT
        assert sum(start > 0 for start in served.starts) >= 5
        # What a kill costs: what was on the line, and with several connections what lay behind a hole.
        assert served.sent < (whole + 1) * len(CONTENT) + 21 * connections * 2 * MIB


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
@by_one_and_by_four
def test_memory_does_not_grow_with_the_file(tmp_path: Path, connections: int) -> None:
    with ScriptedServer(Served(bytes(3 * MIB))) as small, ScriptedServer(Served(bytes(256 * MIB))) as big:
        with program(PEAK, small.url, big.url, tmp_path / NAME, connections) as child:
            assert child.stdout is not None
            grown = int(child.stdout.read())
    assert grown < 4096 + 1024 * connections, f"{grown} KiB over the idle client"


def build(service: Any, directory: Path, **options: Any) -> Path:
    path: Path = sidefx.download_build(service, "houdini", "20.5", "production", "linux", directory, **options)
    return path


def test_a_build_that_is_there_and_right_is_not_fetched_again(tmp_path: Path) -> None:
    seen: list[Any] = []
    with LocalServer() as server, server.service() as service:
        path = build(service, tmp_path)
        assert build(service, tmp_path, progress=lambda *step: seen.append(step)) == path
        assert len(server.downloads) == 1
        assert seen == [(path.stat().st_size, path.stat().st_size)]


def test_a_build_without_a_service_is_told_in_clear_words(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="takes a service first, not str"):
        sidefx.download_build("houdini", "20.5", "production", directory=tmp_path)  # type: ignore[arg-type]


def test_the_directory_of_a_build_is_created_with_its_parents_before_the_first_request(tmp_path: Path) -> None:
    with LocalServer() as server, server.service() as service:
        folder = tmp_path / "new" / "folder"
        assert build(service, folder).parent == folder
        (tmp_path / "file").touch()
        calls = len(server.calls)
        with pytest.raises(NotADirectoryError):
            build(service, tmp_path / "file" / "folder")
        assert len(server.calls) == calls
