"""A: credentials, the hosts that may receive them, and the token cache."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.case import BASIC, CLIENT_SECRET, NEW_TOKEN, ROOT, TOKEN, Case
from support.scripted import ScriptedServer, http_response, json_response, token_response

import sidefx_client as sidefx

OK = json_response("done")
REFUSED = http_response(401, "token refused")


@pytest.mark.parametrize("machine", ["machine 127.0.0.1", "default"])
def test_A6_netrc_does_not_replace_our_authorization_header(case: Case, tls: str | None, machine: str) -> None:
    path = Path.home() / ".netrc"
    path.write_text(f"{machine} login other password secret\n")
    case.declared.add(path)
    server, service = case.serve([OK, REFUSED, OK], tokens=token_response(NEW_TOKEN), tls=tls)
    service.bugs.submit_issue(summary="x")
    service.bugs.submit_issue(summary="y")
    sent = [request.header("Authorization") for request in server.requests]
    assert sent == [f"Bearer {TOKEN}", f"Bearer {TOKEN}", f"Basic {BASIC}", f"Bearer {NEW_TOKEN}"]


NOT_ONE_LINE = "URL in one line of text, without blanks"
UNSAFE: dict[Any, str] = {
    "http://127.0.0.1.invalid/api/": "must begin with https",
    "ftp://127.0.0.1/api/": "must begin with https",
    "https://someone:proxypasswordproxypassword@api.invalid/api/": "user or a password",
    "https://proxypasswordproxypassword@127.0.0.1/api/": "user or a password",
    **dict.fromkeys(("https:///api/", "api.invalid/api/", "", "file:///etc/passwd"), "no host"),
    **dict.fromkeys(("https://[::1/api/", "https://api.invalid:port/", "https://api.invalid:99999/"), "no valid port"),
    **dict.fromkeys(("https://api.invalid/\r\nX: y", "https://api.invalid/a b"), NOT_ONE_LINE),
    b"https://api.invalid/api/": NOT_ONE_LINE,
}


@pytest.mark.parametrize("which", ["access_token_url", "endpoint_url"])
@pytest.mark.parametrize("url", UNSAFE, ids=repr)
def test_A7_unsafe_url_raises_config_error_before_a_connection(
    case: Case, connects: list[Any], which: str, url: Any
) -> None:
    with case.raises(sidefx.ConfigError, match=f"^{which} .*{UNSAFE[url]}"):
        case.service(None, **{which: url})
    assert connects == []


def token_used(case: Case, server: ScriptedServer, cache: Path) -> str:
    """Return the token that a service without a token uses if it has this cache."""
    case.cold(server, token_cache=cache).bugs.submit_issue(summary="x")
    return (server.api_requests[-1].header("Authorization") or "").replace("Bearer ", "")


def test_A9_cached_token_is_used_and_its_file_is_private(case: Case) -> None:
    cache = case.directory / "made" / "cache.json"
    case.declared.add(cache)
    server = case.server(OK, tokens=[token_response(TOKEN)])
    assert token_used(case, server, cache) == TOKEN
    assert token_used(case, server, cache) == TOKEN
    if os.name == "posix":
        assert stat.S_IMODE(cache.stat().st_mode) == 0o600
        assert stat.S_IMODE(cache.parent.stat().st_mode) == 0o700
    assert CLIENT_SECRET not in cache.read_text()
    assert BASIC not in cache.read_text()


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has mode bits and links")
@pytest.mark.parametrize("fault", ["mode", "owner", "link", "FIFO"])
def test_A9_unsafe_cache_file_is_left_alone_with_one_warning(
    case: Case, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    if fault == "owner" and os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    server = case.server(OK, tokens=token_response(NEW_TOKEN))
    good = case.write("good.json", b'{"a": "file of another user"}')
    good.chmod(0o600)
    cache = case.directory / "odd.json"
    case.declared.add(cache)
    if fault == "FIFO":
        os.mkfifo(cache, 0o600)
    elif fault == "link":
        cache.symlink_to(good)
    else:
        cache.write_bytes(good.read_bytes())
        cache.chmod(0o640 if fault == "mode" else 0o600)
        os.chown(cache, 65534 if fault == "owner" else -1, -1)
    before = cache.lstat()
    assert token_used(case, server, cache) == NEW_TOKEN
    assert token_used(case, server, cache) == NEW_TOKEN
    assert len(server.token_requests) == 2
    after = cache.lstat()
    assert (after.st_ino, after.st_mode, after.st_uid) == (before.st_ino, before.st_mode, before.st_uid)
    assert good.read_bytes() == b'{"a": "file of another user"}'
    warned = [text for text in caplog.messages if "odd.json" in text]
    assert len(warned) == 2, warned  # one for each service
    reason = {"link": "link", "mode": "(chmod 600)"}.get(fault, "not a regular file of this user")
    assert all(reason in text for text in warned), warned


def test_A11_rejected_cached_token_is_replaced(case: Case) -> None:
    cache = case.directory / "cache.json"
    case.declared.add(cache)
    server = case.server([OK, REFUSED, OK, OK], tokens=[token_response(TOKEN), token_response(NEW_TOKEN)])
    assert [token_used(case, server, cache) for _ in range(3)] == [TOKEN, NEW_TOKEN, NEW_TOKEN]
    assert server.api_requests[1].header("Authorization") == f"Bearer {TOKEN}"


WRITER = """
import sys
from sidefx_client.credentials.token_cache import TokenCache
from sidefx_client.secret import Secret
while True:
    TokenCache(sys.argv[1], "https://api.invalid/token").put("an-id", Secret("a-token"), float(sys.argv[2]))
    print("written", flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has kill -9")
def test_A9_killed_writer_leaves_a_complete_cache_file(case: Case) -> None:
    cache = case.directory / "made" / "cache.json"
    command = [sys.executable, "-c", WRITER, str(cache), str(time.time() + 3600)]
    for delay in (0.0, 0.003, 0.007):
        with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": ROOT}) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(delay)
            os.kill(writer.pid, signal.SIGKILL)
        assert json.loads(cache.read_text())
    case.declared.update(cache.parent.iterdir())  # a killed writer may leave its temporary file
