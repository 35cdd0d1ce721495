"""C2: forked children; pickling for other processes; the end of an interpreter with open streams."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import time

import pytest
from support import certificates
from support.case import CLIENT_ID, CLIENT_SECRET, ROOT, Case
from support.scripted import Connection, Request, ScriptedServer, http_response, json_response

STREAM = {"Content-Type": "application/octet-stream"}
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


def echo(connection: Connection, request: Request) -> None:
    """Respond with the call itself, or with a stream. things.endless and a GET stall in the middle of it."""
    connection.read_body(request)
    if b"things.endless" in request.body or request.method == "GET":
        connection.send(http_response(200, b"x" * 300_000, {**STREAM, "Content-Length": "1000000"}))
        connection.stall()
    elif b"things.stall" in request.body:
        connection.stall()
    elif b"things.long" in request.body:
        connection.send(http_response(200, b"x" * 5_000_000, STREAM))
    else:
        connection.send(json_response(request.call))


SERVICE = f"""
import os, sys, threading, time, warnings
import sidefx_client as sidefx
service = sidefx.service("{CLIENT_ID}", "{CLIENT_SECRET}", sys.argv[2], sys.argv[1], ca_bundle=sys.argv[3] or None)
"""


def python(case: Case, code: str, server: ScriptedServer, *args: str) -> subprocess.CompletedProcess[str]:
    """Run ``code``, which has a ``service``, in a subprocess."""
    environment = {**os.environ, "PYTHONPATH": ROOT, "REQUESTS_CA_BUNDLE": server.ca_bundle or ""}
    urls = (server.api_url, server.token_url, server.ca_bundle or "")
    return case.python(SERVICE + code, *urls, *args, env=environment)


FORKED = """
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of fork with threads

def calls(name, count):
    for number in range(count):
        result = service.things.echo(name, number)
        assert result == ["things.echo", [name, number], {}], result

def fork(name, work):
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work(name)
        code = 0
    except BaseException as error:
        print(name, repr(error), file=sys.stderr, flush=True)
    os._exit(code)

def wait(*pids):
    assert not any(os.waitpid(pid, 0)[1] for pid in pids)
"""


def forked(case: Case, code: str, server: ScriptedServer, *args: str) -> None:
    """Run ``code``, in which ``wait`` fails if a child failed."""
    done = python(case, FORKED + code + "service.close()", server, *args)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@needs_fork
def test_C2_forked_children_of_a_busy_parent_get_their_own_responses(case: Case, tls: str | None) -> None:
    code = """
over, connected = threading.Event(), threading.Barrier(5)
def busy(name):
    calls(name, 1)
    connected.wait()
    while not over.is_set():
        calls(name, 1)
threads = [threading.Thread(target=busy, args=(f"thread {n}",)) for n in range(4)]
for thread in threads:
    thread.start()
connected.wait()  # a fork during a TLS handshake can leave a lock of OpenSSL locked in the child
wait(*[fork(f"child {n}", lambda name: calls(name, 40)) for n in range(3)])
over.set()
for thread in threads:
    thread.join()
calls("parent", 5)
"""
    server = case.server(echo, tls=tls)
    forked(case, code, server)


@needs_fork
def test_C2_forked_child_opens_its_own_proxy_tunnel(case: Case) -> None:
    def proxy(connection: Connection, request: Request) -> None:
        if request.method == "CONNECT":
            connection.send(http_response(200, framed=False))
            context = certificates.server_context("wrong-name")  # valid for elsewhere.invalid
            connection.socket = context.wrap_socket(connection.socket, server_side=True)
        else:
            echo(connection, request)

    code = """
service.close()
os.environ["HTTPS_PROXY"] = sys.argv[4]
service = sidefx.service(access_token="", endpoint_url="https://elsewhere.invalid/api/", ca_bundle=sys.argv[5])
calls("parent", 1)
wait(fork("child", lambda name: calls(name, 1)))
calls("parent", 1)
"""
    server = case.server(proxy)
    forked(case, code, server, server.url, certificates.CA_BUNDLE)
    parents, childs, parents_again = (r.connection for r in server.api_requests if r.method == "POST")
    assert parents == parents_again != childs


@needs_fork
def test_C2_forked_children_do_not_use_the_parents_connection_or_stream(case: Case, tls: str | None) -> None:
    code = """
def child(name):
    calls(name, 2)
    wait(fork("grandchild", lambda name: calls(name, 2)))
    service.close()
calls("parent", 1)
wait(fork("child", child))
with service.things.long("parent") as file:
    file.read(1000)
    wait(fork("child", child))
    assert file.read() == b"x" * 4_999_000
calls("parent", 3)
"""
    server = case.server(echo, tls=tls)
    forked(case, code, server)
    users = {request.connection: {request.call[1][0]} for request in server.api_requests}
    assert all(request.call[1][0] in users[request.connection] for request in server.api_requests)
    assert sorted(map(sorted, users.values())) == [["child"], ["child"], ["grandchild"], ["grandchild"], ["parent"]]


@needs_fork
def test_C2_child_forked_during_a_token_request_requests_its_own(case: Case) -> None:
    code = """
service.access_token_expiry_time = 0
thread = threading.Thread(target=calls, args=("parent", 1))  # holds the token's lock for 0.3 s
thread.start()
time.sleep(0.1)
wait(fork("child", lambda name: calls(name, 1)))
thread.join()
"""

    def slowly(connection: Connection, request: Request) -> None:
        connection.read_body(request)
        time.sleep(0.3 if len(server.token_requests) > 1 else 0)
        connection.send(json_response({"access_token": "a-token", "expires_in": 43200}))

    server = case.server(echo, tokens=slowly)
    forked(case, code, server)
    assert len(server.token_requests) == 3


def test_S1_stream_cannot_be_pickled_or_copied(case: Case) -> None:
    _, service = case.serve([http_response(200, b"x", STREAM)])
    with service.things.stream() as file:
        for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="pickle"):
                attempt(file)


OPEN = {
    "unread": "file = service.things.endless()",
    "in a cycle": "class Cycle: pass\ncycle = Cycle(); cycle.self = cycle; cycle.file = service.things.endless()",
    "in a module": "import json; json.file = service.things.endless(); json.service = service",
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
}


@pytest.mark.parametrize("state", OPEN)
def test_interpreter_exits_silently_with_open_streams(case: Case, state: str) -> None:
    if "fork" in OPEN[state] and not hasattr(os, "fork"):
        pytest.skip("no fork here")
    server = case.server(echo, tls="good")
    started = time.monotonic()
    code = "warnings.simplefilter('ignore')\n" + OPEN[state]
    done = python(case, code, server, str(case.directory / "file"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert time.monotonic() - started < 20
    assert not (case.directory / "file").exists()
    case.declared.update(case.directory.glob("file.*"))  # the partial file of a daemon thread
