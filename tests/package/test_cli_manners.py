"""The manners of the command line: options, errors, exit statuses, pipes and terminals, whatever the command."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.scripted import Connection, Request, ScriptedServer, answer
from support.shells import Shell, needs_terminal, offer, on_terminal

from sidefx_client.cli import main
from sidefx_client.testing import LocalServer, Stream


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    with LocalServer() as server:
        yield Shell(server, tmp_path)


def test_options_of_every_command_stand_before_or_behind_it(shell: Shell) -> None:
    url = shell.server.endpoint_url
    shell.environment["SIDEFX_ENDPOINT_URL"] = "http://127.0.0.1:9/api/"
    for words in (
        ["--endpoint-url", url, "call"],
        ["call", "--endpoint-url", url],
        ["-v", "call", "--endpoint-url", url],
    ):
        status, _, err = shell(*words, "bugs.get_submission_options", "--timeout", "5")
        assert (status, "DEBUG" in err) == (0, "-v" in words)


ERRORS = [
    (["call", "download.get_daily_builds_list", "houdini", "1.0"], "Unknown version '1.0'. Use one of 19.5, 20.0, "),
    (["call", "download.get_daily_build_downlod"], "did you mean download.get_daily_build_download?)"),
    (["call", "farm.fail"], "500 Traceback (most recent call last): … ZeroDivisionError: division by zero (-v shows"),
    (["call", "farm.limit"], "429 Too many requests; wait 7200 s, then run it again"),
    (["call", "farm.cut"], "; it may have been carried out: look before you run it again"),
    (["call", "farm.slow", "--timeout", "0.1"], "it may have been carried out: look before you run it again"),
    (["call", "farm.get_slow", "--timeout", "0.1"], "; --timeout gives it longer"),
    (
        ["auth", "--token-url", "http://example.com/"],
        "--token-url must begin with https:// (http only to this machine)",
    ),
    (["builds", "houdini", "--timeout", "0"], "timeout must be seconds"),
    (["download", "houdini", "20.5", "-o", "nowhere"], "sidefx-client: error: nowhere: "),
    (
        ["download", "houdini", "20.5", "7", "linux"],
        "sidefx-client: error: There is no build 7 of houdini 20.5 for linux.",
    ),
    (
        ["download", "docker", "20.5"],
        "403 EULA not accepted; log in and accept it at https://www.sidefx.com/services/eula/",
    ),
]


@pytest.mark.parametrize(
    ("words", "text"), ERRORS, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_an_error_is_one_line_that_says_what_to_do(shell: Shell, words: list[str], text: str) -> None:
    shell.server.register("farm.fail", lambda: 1 / 0)
    shell.server.rate_limit(7200, function="farm.limit")
    shell.server.drop(function="farm.cut")
    shell.server.delay(1, function="farm.slow")
    shell.server.delay(1, function="farm.get_slow", times=2)
    shell.server.eula_accepted = "docker" not in words
    status, out, err = shell(*words)
    shell.server.errors.clear()
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("sidefx-client: error: ")
    assert text in err


def test_errors_about_credentials_are_one_line_and_with_v_the_whole_list(shell: Shell) -> None:
    shell.environment["SIDEFX_CLIENT_SECRET"] = "wrong"
    source = "SIDEFX_CLIENT_ID and SIDEFX_CLIENT_SECRET"
    told = f"sidefx-client: error: 403: Invalid client id or client secret. (the credentials are from {source})\n"
    assert shell("builds", "houdini") == (1, "", told)
    del shell.environment["SIDEFX_CLIENT_ID"], shell.environment["SIDEFX_CLIENT_SECRET"]
    status, out, err = shell("auth")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "No credentials for 127.0.0.1" in err
    assert "Set SIDEFX_CLIENT_ID and SIDEFX_CLIENT_SECRET" in err
    assert "\n  HOUDINI_API_KEY_FILE: not set\n" in shell("auth", "-v").err


def test_a_page_of_html_is_not_poured_out(shell: Shell) -> None:
    shell.server.fail(403, "<html>" + "x" * 60_000)
    err = shell("call", "farm.page").err
    assert "<html>xxx" in err
    assert err.endswith("… (-v shows all of it)\n")
    assert len(err) < 600


def test_a_server_that_is_down_is_one_line(shell: Shell) -> None:
    shell("builds", "houdini")  # keeps a token
    shell.environment["SIDEFX_ENDPOINT_URL"] = "http://127.0.0.1:9/api/"
    told = "the connection was refused: http://127.0.0.1:9; check the URL, the network and the proxy"
    assert shell("call", "farm.count") == (1, "", f"sidefx-client: error: {told}\n")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["biulds"],
        ["builds"],
        ["builds", "houdini", "--prod"],
        ["download", "houdini"],
        ["download", "houdini", "20.5", "-x", "33"],
        ["call", "farm.f", "a=1", "a:=2"],
        ["call", "farm.f", "a:=tru"],
        ["call", "farm.f", "--arg"],
        ["license", "lic", "12ab"],
        ["auth", "--client-secret", "x"],
        ["auth", "--timeout", "soon"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_status_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(words)
    out, err = capsys.readouterr()
    assert (stopped.value.code, out) == (2, "")
    assert err.startswith("usage: sidefx-client")
    assert ": error: " in err.splitlines()[-1]


@needs_terminal
@pytest.mark.parametrize(
    "words", [["auth"], ["builds", "houdini"], ["builds", "houdini", "--json"], ["call", "farm.stream"]]
)
def test_a_reader_that_goes_away_is_met_with_silence(shell: Shell, words: list[str]) -> None:
    shell.server.register("farm.stream", lambda: b"x" * (1 << 20))
    process = shell.start(*words)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait(20) == 141


def test_rich_is_imported_only_to_draw(shell: Shell) -> None:
    code = "import atexit\natexit.register(lambda: print('rich' in sys.modules, file=sys.stderr))"
    for words, drawn in (
        (["call", "bugs.get_submission_options"], "False"),
        (["download", "houdini", "20.5", "production", "linux"], "False"),
        (["builds", "houdini"], "True"),
    ):
        assert shell.python(code, *words).err.strip() == drawn


@pytest.mark.parametrize(("module", "command"), [("platformdirs", "auth"), ("rich", "builds")])
def test_without_the_extra_it_says_what_to_install(shell: Shell, module: str, command: str) -> None:
    words = ["builds", "houdini"] if command == "builds" else [command]
    status, _, err = shell.python(f"sys.modules[{module!r}] = None", *words)
    told = f"{module} is not installed: it comes with pip install 'sidefx-client[cli]' (in a clone: '.[cli]')"
    assert (status, err) == (1, f"sidefx-client: error: {told}\n")


# In a terminal.


@needs_terminal
def test_a_bar_shows_size_and_speed_on_a_terminal(shell: Shell) -> None:
    content = os.urandom(1 << 20)

    def in_two_steps(connection: Connection, request: Request) -> None:
        whole = answer(200, content)
        connection.send(whole[: 1 << 19], whole[1 << 19 :], pause=0.12)

    with ScriptedServer([in_two_steps]) as files:
        offer(shell, files, content)
        status, shown = on_terminal(shell, "download", "houdini", "20.5", stream="err")
    assert status == 0
    assert "houdini 20.5" in shown
    assert "1.0/1.0 MB" in shown
    assert re.search(r"\d (bytes|[kMG]B)/s", shown)


@needs_terminal
def test_a_stream_does_not_go_to_a_terminal(shell: Shell) -> None:
    shell.server.register("farm.stream", lambda: Stream(b"\x1b[31m", "scene.hip"))
    status, shown = on_terminal(shell, "call", "farm.stream", stream="out")
    assert (status, shown) == (1, "")


@needs_terminal
def test_a_wait_is_explained_on_a_terminal_only(shell: Shell) -> None:
    shell.server.rate_limit(1)
    status, shown = on_terminal(shell, "call", "bugs.get_submission_options", stream="err")
    assert status == 0
    assert re.search(r"sidefx-client: warning: bugs.get_submission_options: 429 .*sent again in 1.0 s", shown)
