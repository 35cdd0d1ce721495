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
from typing import Any, Callable

import pytest
from support.case import BASIC, CLIENT_ID, CLIENT_SECRET, NEW_TOKEN, ROOT, TOKEN, Case
from support.scripted import ScriptedServer, http_response, json_response, token_response

import sidefx_client as sidefx

OK = json_response("done")
REFUSED = http_response(401, "token refused")


def netrc(case: Case, *lines: str) -> None:
    path = Path.home() / ".netrc"
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o600)
    case.declared.add(path)


@pytest.mark.parametrize("machine", ["machine 127.0.0.1", "default"])
def test_A6_netrc_does_not_replace_our_authorization_header(case: Case, tls: str | None, machine: str) -> None:
    netrc(case, f"{machine} login other password secret")
    with ScriptedServer([OK, REFUSED, OK], tokens=token_response(NEW_TOKEN), tls=tls) as server:
        service = case.service(server)
        service.bugs.submit_issue(summary="x")
        service.bugs.submit_issue(summary="y")
        assert [request.header("Authorization") for request in server.requests] == [
            f"Bearer {TOKEN}",
            f"Bearer {TOKEN}",
            f"Basic {BASIC}",
            f"Bearer {NEW_TOKEN}",
        ]


def test_A6_netrc_entry_provides_credentials_for_its_host(case: Case) -> None:
    netrc(case, f"machine 127.0.0.1 login {CLIENT_ID} password {CLIENT_SECRET}")
    with ScriptedServer(OK) as server:
        case.cold(server, client_id=None, client_secret_key=None)
        assert server.token_requests[0].header("Authorization") == f"Basic {BASIC}"


@pytest.mark.parametrize("host", ["127.0.0.1", "default"])
def test_A6_netrc_default_entry_is_ignored(case: Case, connects: list[Any], host: str) -> None:
    netrc(case, f"default login {CLIENT_ID} password {CLIENT_SECRET}")
    with case.raises(sidefx.ConfigError):
        sidefx.service(access_token_url=f"https://{host}/token", endpoint_url=f"https://{host}/api/")
    assert connects == []


def test_A6_credentials_in_vendor_files_are_sent_to_sidefx_and_loopback_only(
    case: Case, monkeypatch: pytest.MonkeyPatch, connects: list[Any]
) -> None:
    key_file = case.write("key", f"{CLIENT_ID} {CLIENT_SECRET}\n".encode())
    monkeypatch.setenv("HOUDINI_API_KEY_FILE", str(key_file))
    missing: dict[str, Any] = {"client_id": None, "client_secret_key": None}
    for host in ("elsewhere.invalid", "notsidefx.com", "sidefx.com.invalid"):
        with case.raises(sidefx.ConfigError):
            case.service(
                **missing, access_token=None, access_token_url=f"https://{host}/token", endpoint_url=f"https://{host}/"
            )
    assert connects == []
    with ScriptedServer(OK) as server:
        case.cold(server, **missing)
        assert server.token_requests[0].header("Authorization") == f"Basic {BASIC}"


@pytest.mark.parametrize("which", ["access_token_url", "endpoint_url"])
@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://api.invalid/api/", "must begin with https"),
        ("http://127.0.0.1.invalid/api/", "must begin with https"),
        ("http://localhost.invalid/api/", "must begin with https"),
        ("ftp://127.0.0.1/api/", "must begin with https"),
        ("https://someone:proxypasswordproxypassword@api.invalid/api/", "user or a password"),
        ("https://proxypasswordproxypassword@127.0.0.1/api/", "user or a password"),
        ("https://", "no host"),
        ("https:///api/", "no host"),
        ("api.invalid/api/", "no host"),
        ("/api/", "no host"),
        ("", "no host"),
        ("file:///etc/passwd", "no host"),
        ("https://[::1/api/", "no host"),
        ("https://api.invalid:port/api/", "no host, or no valid port"),
        ("https://api.invalid:99999/", "no host, or no valid port"),
        ("https://api.invalid/\r\nX: y", "URL in one line"),
        ("https://api.invalid/a b", "without blanks"),
        (b"https://api.invalid/api/", "URL in one line"),
    ],
)
def test_A7_unsafe_url_raises_config_error_before_a_connection(
    case: Case, connects: list[Any], which: str, url: Any, reason: str
) -> None:
    with case.raises(sidefx.ConfigError, match=f"^{which} .*{reason}"):
        case.service(None, **{which: url})
    assert connects == []


def test_A8_missing_credentials_error_lists_every_place(case: Case, connects: list[Any]) -> None:
    with case.raises(sidefx.ConfigError) as caught:
        sidefx.service()
    for place in (
        "SIDEFX_CLIENT_ID",
        "SIDEFX_CLIENT_SECRET",
        "HOUDINI_API_KEY_FILE",
        "hserver.ini",
        "netrc",
        "argument",
    ):
        assert place in str(caught.value)
    assert connects == []


@pytest.mark.parametrize(("which", "good"), [("client_id", CLIENT_ID), ("client_secret_key", CLIENT_SECRET)])
@pytest.mark.parametrize("spoil", [lambda _: "", lambda _: " ", "{}\n".format, "a\r\n{}".format, str.encode, len])
def test_A8_invalid_or_missing_half_of_the_credentials_raises_config_error(
    case: Case, connects: list[Any], which: str, good: str, spoil: Callable[[str], Any]
) -> None:
    with case.raises(sidefx.ConfigError):
        case.service(access_token=None, **{which: spoil(good)})
    with case.raises(sidefx.ConfigError):
        case.service(access_token=None, **{which: None})
    assert connects == []


def test_A12_white_space_around_credentials_is_removed(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIDEFX_CLIENT_ID", f"{CLIENT_ID} ")
    monkeypatch.setenv("SIDEFX_CLIENT_SECRET", f" {CLIENT_SECRET}\t")
    with ScriptedServer(OK) as server:
        case.cold(server, client_id=None, client_secret_key=None)
        assert server.token_requests[0].header("Authorization") == f"Basic {BASIC}"


@pytest.mark.parametrize("quote", ["'", '"'])
def test_A12_quotes_around_credentials_raise_with_the_variable(
    case: Case, monkeypatch: pytest.MonkeyPatch, quote: str
) -> None:
    monkeypatch.setenv("SIDEFX_CLIENT_ID", CLIENT_ID)
    monkeypatch.setenv("SIDEFX_CLIENT_SECRET", f"{quote}{CLIENT_SECRET}{quote}")
    with case.raises(sidefx.ConfigError, match=f"SIDEFX_CLIENT_SECRET.*quotes .{quote}"):
        sidefx.service()


@pytest.fixture
def other_user() -> int:
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    return 65534


def token_used(case: Case, server: ScriptedServer, cache: Path) -> str:
    """Return the token that a service without a token uses if it has this cache."""
    case.cold(server, token_cache=cache).bugs.submit_issue(summary="x")
    return (server.api_requests[-1].header("Authorization") or "").replace("Bearer ", "")


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_A9_cached_token_is_used_and_its_file_is_private(case: Case) -> None:
    cache = case.directory / "made" / "cache.json"
    case.declared.add(cache)
    with ScriptedServer(OK, tokens=[token_response(TOKEN)]) as server:
        assert token_used(case, server, cache) == TOKEN
        assert token_used(case, server, cache) == TOKEN
    if os.name == "posix":
        assert stat.S_IMODE(cache.stat().st_mode) == 0o600
        assert stat.S_IMODE(cache.parent.stat().st_mode) == 0o700
    assert CLIENT_SECRET not in cache.read_text()
    assert BASIC not in cache.read_text()


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has mode bits and links")
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("mode", "others may read or write it (mode 640): chmod 600 it, or remove it"),
        ("owner", "it belongs to another user"),
        ("link", "it is a link"),
        ("dangling link", "it is a link"),
        ("FIFO", "it is not a regular file"),
    ],
)
def test_A9_unsafe_cache_file_is_left_alone_with_one_warning(
    case: Case, caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest, fault: str, reason: str
) -> None:
    with ScriptedServer(OK, tokens=token_response(NEW_TOKEN)) as server:
        good = case.write("good.json", b'{"a": "file of another user"}')
        good.chmod(0o600)
        cache = case.directory / "odd.json"
        case.declared.add(cache)
        if fault == "mode":
            cache.write_bytes(good.read_bytes())
            cache.chmod(0o640)
        elif fault == "owner":
            cache.write_bytes(good.read_bytes())
            cache.chmod(0o600)
            os.chown(cache, request.getfixturevalue("other_user"), -1)
        elif fault == "FIFO":
            os.mkfifo(cache, 0o600)
        else:
            cache.symlink_to(good if fault == "link" else case.directory / "nowhere")
        before = cache.lstat()
        assert token_used(case, server, cache) == NEW_TOKEN
        assert token_used(case, server, cache) == NEW_TOKEN
        assert len(server.token_requests) == 2
    after = cache.lstat()
    assert (after.st_ino, after.st_mode, after.st_uid) == (before.st_ino, before.st_mode, before.st_uid)
    assert good.read_bytes() == b'{"a": "file of another user"}'
    assert not (case.directory / "nowhere").exists()
    warned = [text for text in warnings_in(caplog) if "odd.json" in text]
    assert len(warned) == 2, warned  # one for each service
    assert all(text.endswith(reason) for text in warned), warned


@pytest.mark.skipif(os.name != "posix", reason="Windows lets only administrators make links")
def test_A9_cache_is_not_written_through_a_symlink(case: Case) -> None:
    victim = case.write("victim", b"precious")
    cache = case.directory / "cache.json"
    cache.symlink_to(victim)
    case.declared.add(cache)
    with ScriptedServer(OK, tokens=token_response(NEW_TOKEN)) as server:
        token_used(case, server, cache)
    assert victim.read_bytes() == b"precious"


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe\x00", b"null", b"[1]", b'"text"', b"{}", b"[" * 100_000, b'{"a": {"access_token": 5}}',
     b"\xef\xbb\xbf{}", b"9" * 10_000, b" " * (2 << 20)],
    ids=["empty", "cut", "binary", "null", "list", "text", "no key", "deep", "other types", "BOM", "digits", "large"],
)  # fmt: skip
def test_A9_garbage_in_the_cache_is_a_miss(case: Case, caplog: pytest.LogCaptureFixture, content: bytes) -> None:
    cache = case.write("cache.json", content)
    cache.chmod(0o600)
    with ScriptedServer(OK, tokens=[token_response(NEW_TOKEN)]) as server:
        assert token_used(case, server, cache) == NEW_TOKEN
        assert token_used(case, server, cache) == NEW_TOKEN
    assert warnings_in(caplog) == []


def test_A9_rejected_cached_token_is_replaced(case: Case) -> None:
    cache = case.directory / "cache.json"
    case.declared.add(cache)
    with ScriptedServer([OK, REFUSED, OK, OK], tokens=[token_response(TOKEN), token_response(NEW_TOKEN)]) as server:
        assert [token_used(case, server, cache) for _ in range(3)] == [TOKEN, NEW_TOKEN, NEW_TOKEN]
        assert [request.header("Authorization") for request in server.api_requests][1] == f"Bearer {TOKEN}"


WRITER = """
import sys, time
import sidefx_client as sidefx
url, token_url, cache, client_id, secret = sys.argv[1:]
while True:
    service = sidefx.service(client_id, secret, token_url, url, token_cache=cache)
    service.access_token_expiry_time = 0
    service.things.get_all()
    service.close()
    print("written", flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has kill -9")
def test_A9_killed_writer_leaves_a_complete_cache_file(case: Case) -> None:
    cache = case.directory / "made" / "cache.json"
    with ScriptedServer(OK, tokens=token_response(TOKEN, expires_in=1)) as server:
        arguments = [server.api_url, server.token_url, str(cache), CLIENT_ID, CLIENT_SECRET]
        for delay in (0.0, 0.003, 0.007):
            writer = subprocess.Popen(
                [sys.executable, "-c", WRITER, *arguments],
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": ROOT},
            )
            with writer:
                assert writer.stdout is not None
                writer.stdout.readline()
                time.sleep(delay)
                os.kill(writer.pid, signal.SIGKILL)
            assert json.loads(cache.read_text())
    case.declared.update(cache.parent.iterdir())  # a killed writer may leave its temporary file
