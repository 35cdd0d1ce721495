"""login, logout and auth: the stored credentials, their source, and exit status 4 for refused ones."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import sys
import time
from pathlib import Path

import platformdirs
import pytest
from support.shells import Shell, needs_terminal

from sidefx_client.credentials.key_files import hserver_ini_paths

PAIR = "local-client-id\nlocal-client-secret\n"
PAIR_LINES = "ClientID = local-client-id\nClientSecret = local-client-secret\n"


@pytest.fixture
def shell(shell: Shell) -> Shell:
    """Return a shell without credentials."""
    del shell.environment["SIDEFX_CLIENT_ID"], shell.environment["SIDEFX_CLIENT_SECRET"]
    return shell


@pytest.fixture
def path() -> Path:
    return Path(hserver_ini_paths()[-1])


def test_login_stores_a_checked_pair_for_the_other_commands(shell: Shell, path: Path) -> None:
    assert shell("login", typed=PAIR) == (0, "", f"sidefx-client: stored the credentials in {path}\n")
    assert path.read_text() == PAIR_LINES
    assert sys.platform == "win32" or stat.S_IMODE(path.stat().st_mode) == 0o600
    assert shell.server.token_requests == 1
    assert shell("call", "bugs.get_submission_options").status == 0
    assert f"Credentials  {path}\nClient id    local-client-id\n" in shell("auth").out


def test_login_keeps_all_other_lines_and_logout_restores_the_file(shell: Shell, path: Path) -> None:
    before = b"# studio\r\nClientID=other\r\nClientSecret=s2\r\n"
    path.parent.mkdir(parents=True)
    path.write_bytes(before)
    done = shell("login", typed=PAIR)
    assert (done.status, done.out) == (0, "")
    assert f"warning: client id other from {path} is used first" in done.err
    assert path.read_bytes() == before + PAIR_LINES.replace("\n", "\r\n").encode()
    assert shell("logout") == (0, "", f"sidefx-client: removed client id local-client-id from {path}\n")
    assert path.read_bytes() == before
    assert shell("logout", "local-client-id").status == 1
    assert shell("logout", "other").status == 0
    assert path.read_bytes() == b"# studio\r\n"
    assert shell("logout").status == 1


@pytest.mark.parametrize(
    ("typed", "status", "reason"),
    [
        ("local-client-id\nwrong-secret\n", 4, "403: Invalid client id or client secret"),
        ("", 1, "no client id was given"),
        ("local-client-id\n", 1, "no client secret was given"),
        ("local:client-id\nlocal-client-secret\n", 1, "colon"),
    ],
)
def test_login_stores_only_accepted_credentials(shell: Shell, path: Path, typed: str, status: int, reason: str) -> None:
    done = shell("login", typed=typed)
    assert (done.status, done.out, path.exists()) == (status, "", False)
    assert reason in done.err
    assert "wrong-secret" not in done.err


def test_login_is_for_sidefx_only(shell: Shell, path: Path) -> None:
    done = shell("login", "--token-url", "https://notsidefx.com/token", typed=PAIR)
    assert (done.status, done.out, path.exists()) == (1, "", False)
    assert "hserver.ini has credentials for sidefx.com, not for notsidefx.com" in done.err


@needs_terminal
@pytest.mark.filterwarnings("ignore:.*use of forkpty:DeprecationWarning")  # the child only calls execve()
def test_login_asks_on_a_terminal_and_does_not_echo_the_secret(shell: Shell, path: Path) -> None:
    import pty

    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(shell.directory)
        os.execve(sys.executable, [sys.executable, "-m", "sidefx_client", "login"], shell.environment)
    shown = b""
    for prompt, line in ((b"Client id: ", b"local-client-id\n"), (b"Client secret: ", b"local-client-secret\n")):
        while prompt not in shown:
            shown += os.read(terminal, 1024)
        time.sleep(0.05)  # getpass discards input that arrives before it turns off the echo
        os.write(terminal, line)
    with contextlib.suppress(OSError):  # Linux reports the end of a terminal as an error
        while data := os.read(terminal, 1024):
            shown += data
    os.close(terminal)
    assert os.waitpid(pid, 0)[1] == 0
    assert b"local-client-id" in shown
    assert b"local-client-secret" not in shown
    assert path.read_text() == PAIR_LINES


# auth


def test_auth_requests_and_describes_a_token_while_other_commands_use_the_cached_one(shell: Shell) -> None:
    shell.environment.update(shell.server.environment)
    for _ in range(2):
        assert shell("builds", "houdini").status == 0
    assert shell.server.token_requests == 1
    status, out, err = shell("auth")
    lines = dict(re.split("  +", line) for line in out.splitlines())
    assert (status, err, lines["Client id"]) == (0, "", "local-client-id")
    assert lines["Credentials"] == "SIDEFX_CLIENT_ID and SIDEFX_CLIENT_SECRET"
    assert lines["Token cache"].endswith("tokens.json, can be written")
    until = re.fullmatch(r"valid until (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) .*", lines["Token"])
    assert until is not None
    assert 43000 < time.mktime(time.strptime(until[1], "%Y-%m-%d %H:%M:%S")) - time.time() < 43200
    assert shell.server.token_requests == 2
    shell.environment["SIDEFX_CLIENT_SECRET"] = "mistyped"
    assert shell("auth").status == 4
    assert shell("builds", "houdini").status == 0  # with the cached token


@needs_terminal
def test_auth_says_that_the_token_cache_cannot_be_written(shell: Shell) -> None:
    shell.environment.update(shell.server.environment)
    cache = platformdirs.user_cache_path("sidefx-client", appauthor=False) / "tokens.json"
    cache.parent.mkdir(parents=True)
    cache.symlink_to(shell.directory / "x")
    done = shell("auth")
    assert (done.status, done.out.splitlines()[-1]) == (0, f"Token cache  {cache}, cannot be written")
    assert "warning: the token cache" in done.err


def test_only_refused_credentials_are_status_4(shell: Shell) -> None:
    assert shell("builds", "houdini").status == 1  # no credentials
    shell.environment.update(SIDEFX_CLIENT_ID="local-client-id", SIDEFX_CLIENT_SECRET="mistyped-secret")
    for words in ("download houdini 20.5", "call farm.f", "license lic 12ab --product HOUDINI-NC", "auth"):
        status, out, err = shell(*words.split())
        assert status == 4
        assert "403: Invalid client id or client secret" in err
        assert "mistyped-secret" not in out + err
    shell.environment.update(shell.server.environment)
    shell.server.fail(401, "no", function="farm.f", times=2)
    assert shell("call", "farm.f").status == 4  # a new token is refused too
    shell.server.fail(403, "no", function="farm.f")
    assert shell("call", "farm.f").status == 1
    next(Path.home().rglob("tokens.json")).unlink()
    shell.server.fail(404, "no", function="token")
    assert shell("call", "farm.f").status == 1  # the token URL is wrong
