"""Processes: forked in the middle of things, sharing nothing that must not be shared, ending without a word."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import certificates
from support.scripted import Connection, Request, ScriptedServer, answer, json_answer
from support.services import service_of

import sidefx_client as sidefx

ROOT = str(Path(sidefx.__file__).parents[1])
STREAM = {"Content-Type": "application/octet-stream"}
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
both = pytest.mark.parametrize("tls", [None, "good"], ids=["plain", "tls"])


def echo(connection: Connection, request: Request) -> None:
    """The call itself; for things.endless, and for a GET, a stream that stalls, for things.long one that ends."""
    connection.read_body(request)
    if b"things.endless" in request.body or request.method == "GET":
        connection.send(answer(200, b"x" * 300_000, {**STREAM, "Content-Length": "1000000"}))
        connection.stall()
    elif b"things.stall" in request.body:
        connection.stall()
    elif b"things.long" in request.body:
        connection.send(answer(200, b"x" * 5_000_000, STREAM))
    else:
        connection.send(json_answer(request.call))


def python(code: str, server: ScriptedServer, *args: str) -> subprocess.CompletedProcess[str]:
    """The program ``code`` in a process of its own; it finds ``service`` made."""
    made = (
        "import os, sys, threading, time\nimport sidefx_client as sidefx\n"
        "service = sidefx.service('an-id', 'a-secret', sys.argv[2], sys.argv[1], ca_bundle=sys.argv[3] or None)\n"
    )
    return subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            made + code,
            server.api_url,
            server.token_url,
            server.ca_bundle or "",
            *args,
        ],
        capture_output=True,
        text=True,
        timeout=30,
        env={
            **os.environ,
            "PYTHONPATH": ROOT,
            **({"REQUESTS_CA_BUNDLE": server.ca_bundle} if server.ca_bundle else {}),
        },
    )


# fork

FORKED = """
def calls(who, count):
    for number in range(count):
        answer = service.things.echo(who, number)
        assert answer == ["things.echo", [who, number], {}], answer

def fork(who, work):
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work(who)
        code = 0
    except BaseException as error:
        print(who, repr(error), file=sys.stderr, flush=True)
    os._exit(code)

def wait(pids):
    return [os.waitpid(pid, 0)[1] for pid in pids]
"""


@needs_fork
@both
def test_children_of_a_busy_parent_read_their_own_answers(tls: str | None) -> None:
    code = """
over = threading.Event()
def busy(who):
    while not over.is_set():
        calls(who, 1)
threads = [threading.Thread(target=busy, args=(f"thread {n}",)) for n in range(4)]
for thread in threads:
    thread.start()
print(wait([fork(f"child {n}", lambda who: calls(who, 40)) for n in range(3)]))
over.set()
for thread in threads:
    thread.join()
calls("parent", 5)
service.close()
"""
    with ScriptedServer(echo, tls=tls) as server:
        done = python("import warnings\nwarnings.simplefilter('ignore', DeprecationWarning)" + FORKED + code, server)
        assert (done.stdout.strip(), done.stderr) == ("[0, 0, 0]", "")


@needs_fork
def test_a_child_has_a_tunnel_of_its_own_through_a_proxy() -> None:
    def proxy(connection: Connection, request: Request) -> None:
        if request.method == "CONNECT":
            connection.send(answer(200, framed=False))
            context = certificates.server_context("wrong-name")  # the one for elsewhere.invalid
            connection.socket = context.wrap_socket(connection.socket, server_side=True)
        else:
            echo(connection, request)

    code = """
service.close()
os.environ["HTTPS_PROXY"] = sys.argv[4]
service = sidefx.service(access_token="", endpoint_url="https://elsewhere.invalid/api/", ca_bundle=sys.argv[5])
calls("parent", 1)
print(wait([fork("child", lambda who: calls(who, 1))]))
calls("parent", 1)
service.close()
"""
    with ScriptedServer(proxy) as server:
        done = python(FORKED + code, server, server.url, certificates.CA_BUNDLE)
        assert (done.stdout.strip(), done.stderr) == ("[0]", "")
        parents, childs, parents_again = (r.connection for r in server.api_requests if r.method == "POST")
        assert parents == parents_again != childs


@needs_fork
@both
def test_a_grandchild_calls_too_and_what_children_do_leaves_the_parents_connection_alone(tls: str | None) -> None:
    code = """
calls("parent", 1)
def child(who):
    calls(who, 2)
    assert wait([fork("grandchild", lambda who: calls(who, 2))]) == [0]
    service.close()
print(wait([fork("child", child)]))
calls("parent", 3)
service.close()
"""
    with ScriptedServer(echo, tls=tls) as server:
        done = python(FORKED + code, server)
        assert (done.stdout.strip(), done.stderr) == ("[0]", "")
        users = {request.connection: set() for request in server.api_requests}  # type: dict[int, set[str]]
        for request in server.api_requests:
            users[request.connection].add(request.call[1][0])
        assert sorted(map(sorted, users.values())) == [["child"], ["grandchild"], ["parent"]]


@needs_fork
@both
def test_a_stream_that_the_parent_reads_is_whole_though_children_come_and_go(tls: str | None) -> None:
    code = """
with service.things.long() as file:
    file.read(1000)
    print(wait([fork("child", lambda who: calls(who, 3))]))
    assert file.read() == b"x" * 4_999_000
service.close()
"""
    with ScriptedServer(echo, tls=tls) as server:
        done = python(FORKED + code, server)
        assert (done.stdout.strip(), done.stderr) == ("[0]", "")


@needs_fork
def test_a_child_forked_while_a_token_is_fetched_fetches_its_own() -> None:
    code = """
service.access_token_expiry_time = 0
asking = threading.Thread(target=calls, args=("parent", 1))  # it holds the lock of the token for 0.3 s
asking.start()
time.sleep(0.1)
print(wait([fork("child", lambda who: calls(who, 1))]))
asking.join()
service.close()
"""

    def slowly(connection: Connection, request: Request) -> None:
        connection.read_body(request)
        time.sleep(0.3 if len(server.token_requests) > 1 else 0)
        connection.send(json_answer({"access_token": "a-token", "expires_in": 43200}))

    with ScriptedServer(echo, tokens=slowly) as server:
        done = python("import warnings\nwarnings.simplefilter('ignore', DeprecationWarning)" + FORKED + code, server)
        assert (done.stdout.strip(), done.stderr) == ("[0]", "")
        assert len(server.token_requests) == 3


# pickle


def test_a_stream_cannot_be_pickled_or_copied() -> None:
    with ScriptedServer([answer(200, b"x", STREAM)]) as server, service_of(server) as service:
        with service.things.stream() as file:
            for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
                with pytest.raises(TypeError, match="pickle"):
                    attempt(file)


def test_a_service_is_refused_on_its_way_to_a_process_that_is_not_a_fork() -> None:
    with ScriptedServer() as server, service_of(server) as service:
        process = multiprocessing.get_context("spawn").Process(target=print, args=(service,))
        with pytest.raises(TypeError, match="make one in each process, it cannot be pickled"):
            process.start()
        assert server.connections == 0


# The end of the interpreter

OPEN = {
    "unread": "file = service.things.endless()",
    "half read": "file = service.things.endless(); file.read(10)",
    "in a cycle": "class Cycle: pass\ncycle = Cycle(); cycle.self = cycle; cycle.file = service.things.endless()",
    "in a module": "import json; json.file = service.things.endless(); json.service = service",
    "being read by a daemon": (
        "file = service.things.endless(); threading.Thread(target=file.read, daemon=True).start(); time.sleep(0.1)"
    ),
    "being saved by a daemon": (
        "file = service.things.endless()\n"
        "threading.Thread(target=file.save, args=(sys.argv[4],), daemon=True).start(); time.sleep(0.1)"
    ),
    "a download by a daemon": (
        "threading.Thread(target=sidefx.download_file, args=(sys.argv[1], sys.argv[4]), daemon=True)"
        ".start(); time.sleep(0.1)"
    ),
    "a call by a daemon": "threading.Thread(target=service.things.stall, daemon=True).start(); time.sleep(0.1)",
    "in a forked child": "file = service.things.endless()\npid = os.fork()\nif pid: assert os.waitpid(pid, 0)[1] == 0",
    "with atexit": "import atexit; file = service.things.endless(); atexit.register(service.close)",
    "by sys.exit": "file = service.things.endless(); sys.exit()",
}


@pytest.mark.parametrize("what", OPEN)
def test_an_interpreter_ends_without_a_word_whatever_is_open(what: str, tmp_path: Path) -> None:
    if "fork" in OPEN[what] and not hasattr(os, "fork"):
        pytest.skip("no fork here")
    with ScriptedServer(echo, tls="good") as server:
        started = time.monotonic()
        done = python("import warnings; warnings.simplefilter('ignore')\n" + OPEN[what], server, str(tmp_path / "file"))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert time.monotonic() - started < 10
        assert not (tmp_path / "file").exists()
