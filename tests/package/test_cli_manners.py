"""Common properties of the commands: options, errors, exit statuses, missing streams, pipes and terminals."""

from __future__ import annotations

import io
import os
import re
import sys
from typing import Any

import pytest
from support.scripted import ScriptedServer
from support.shells import Shell, needs_terminal, offer, on_terminal, send_in_steps

from sidefx_client.testing import Stream


def test_common_options_are_accepted_before_and_after_the_command(shell: Shell) -> None:
    url = shell.server.endpoint_url
    shell.environment["SIDEFX_ENDPOINT_URL"] = "http://127.0.0.1:9/api/"
    for words in (["--endpoint-url", url, "call"], ["-v", "call", "--endpoint-url", url]):
        status, _, err = shell(*words, "bugs.get_submission_options", "--timeout", "5")
        assert (status, "DEBUG" in err) == (0, "-v" in words)


ERRORS = [
    ("call download.get_daily_builds_list houdini 1.0", "Unknown version '1.0'. Use one of 19.5, 20.0, "),
    ("call farm.fail", "500 Traceback (most recent call last): … ZeroDivisionError: division by zero (-v shows"),
    ("call farm.limit", "429 Too many requests. (retry after 7200 s); run the command again later"),
    ("call farm.slow --timeout 0.1", "; the server may have executed the call: check before you run it"),
    ("call farm.get_slow --timeout 0.1", "; --timeout waits longer"),
    ("auth --token-url http://example.com/", "--token-url must begin with https:// (http:// only for loopback)"),
    ("builds houdini --timeout 0", "timeout must be seconds"),
    ("download houdini 20.5 -o file/sub", "sidefx-client: error: "),
    ("download houdini 20.5 7 linux", "sidefx-client: error: There is no build 7 of houdini 20.5 for linux."),
    ("download docker 20.5", "403 EULA not accepted (log in and accept it at https://www.sidefx.com/services/eula/)"),
]


@pytest.mark.parametrize(("words", "text"), ERRORS, ids=[words for words, _ in ERRORS])
def test_an_error_is_one_line_with_advice(shell: Shell, words: str, text: str) -> None:
    shell.server.register("farm.fail", lambda: 1 / 0)
    shell.server.rate_limit(7200, function="farm.limit")
    shell.server.delay(1, function="farm.slow")
    shell.server.delay(1, function="farm.get_slow", times=2)
    shell.server.eula_accepted = "docker" not in words
    (shell.directory / "file").touch()
    status, out, err = shell(*words.split())
    shell.server.errors.clear()
    lines = err.splitlines()
    assert all(line.startswith("sidefx-client: warning: ") for line in lines[:-1])
    assert (status, out) == (1, "")
    assert lines[-1].startswith("sidefx-client: error: ")
    assert text in lines[-1]


def test_errors_about_credentials_are_one_line_and_v_shows_the_whole_list(shell: Shell) -> None:
    shell.environment["SIDEFX_CLIENT_SECRET"] = "wrong"
    refused = "403: Invalid client id or client secret. (the credentials are from SIDEFX_CLIENT_ID and "
    status, out, err = shell("builds", "houdini")
    assert (status, out, err.count("\n")) == (4, "", 1)
    assert refused in err
    del shell.environment["SIDEFX_CLIENT_ID"], shell.environment["SIDEFX_CLIENT_SECRET"]
    status, out, err = shell("auth")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert re.search("No credentials for 127.0.0.1.* Set SIDEFX_CLIENT_ID and .*; or run: sidefx-client login\n$", err)
    assert "\n  HOUDINI_API_KEY_FILE: not set\n" in shell("auth", "-v").err


def test_a_long_page_of_html_is_shortened(shell: Shell) -> None:
    shell.server.fail(403, "<html>" + "x" * 60_000)
    err = shell("call", "farm.page").err
    assert re.search(r"<html>x+ … \(-v shows all of it\)\n$", err)
    assert len(err) < 600


def test_a_refused_connection_is_one_line_after_the_retries(shell: Shell) -> None:
    shell("builds", "houdini")  # caches a token
    shell.environment["SIDEFX_ENDPOINT_URL"] = "http://127.0.0.1:9/api/"
    told = "the connection was refused: http://127.0.0.1:9; check the URL, the network and the proxy"
    status, out, err = shell("call", "farm.count")
    assert (status, out, err.splitlines()[-1]) == (1, "", f"sidefx-client: error: {told}")
    assert len(re.findall("sidefx-client: warning: farm.count: .*\n", err)) == 3


# Streams that are missing, closed, or take only some characters.


@needs_terminal
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&-"])
@pytest.mark.parametrize(
    ("words", "expected"),
    [("call farm.f", 0), ("builds houdini", 0), ("download houdini 20.5", 0), ("call farm.no", 1), ("call", 2)],
)
def test_L1_commands_work_with_closed_streams(shell: Shell, closed: str, words: str, expected: int) -> None:
    shell.server.register("farm.f", lambda: "result")
    shell.server.fail(422, "no", function="farm.no")
    status, out, err = shell.sh(f"{words} {closed}")
    assert status == expected
    assert "Traceback" not in err
    silent = expected > 0 or ">&-" in closed.replace("2>&-", "")
    assert bool(out) is not silent


class Minimal:
    """A stream with ``write`` only, as some GUIs set for stdout."""

    def __init__(self, stream: Any) -> None:
        self.write = stream.write


class Broken(Minimal):
    """A stream whose ``write`` raises ValueError, as a copy to a closed file does."""

    def __init__(self, stream: Any) -> None:
        self.write, self.flush, self.isatty = CLOSED.write, CLOSED.flush, lambda: False


def test_L2_result_goes_to_stderr_if_write_raises_value_error(shell: Shell) -> None:
    def before() -> None:
        sys.stdout = Broken(None)

    shell.server.register("farm.f", lambda: "the only copy")
    status, _, err = shell("call", "farm.f", before=before)
    assert (status, "the only copy" in err) == (1, True)


CLOSED = io.StringIO()
CLOSED.close()


@pytest.mark.parametrize("names", ["stdout", "stderr", "stdin stdout stderr"])
@pytest.mark.parametrize("change", [None, CLOSED, Minimal], ids=["None", "closed", "minimal"])
@pytest.mark.parametrize("words", ["call farm.f", "builds houdini", "download houdini 20.5", "call farm.no"])
def test_L1_commands_work_with_missing_or_minimal_streams(shell: Shell, names: str, change: Any, words: str) -> None:
    def before() -> None:
        for name in names.split():
            if name != "stdin" or change is not Minimal:
                setattr(sys, name, Minimal(getattr(sys, name)) if change is Minimal else change)

    shell.server.register("farm.f", lambda: "result")
    shell.server.fail(422, "no", function="farm.no")
    status, out, err = shell(*words.split(), before=before)
    assert status == (words == "call farm.no")
    if "stdout" not in names or change is Minimal:
        assert bool(out) is (status == 0)
        assert bool(err) is (status == 1 and ("stderr" not in names or change is Minimal))
    elif names == "stdout":
        assert bool(err) is words.startswith("call")  # the only copy of a result goes to stderr


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_L1_path_and_key_that_stdout_cannot_encode_are_escaped(shell: Shell, encoding: str) -> None:
    folder = shell.directory / "日本"
    folder.mkdir()
    shell.environment["PYTHONIOENCODING"] = encoding
    keys = {"server_key": "SERVER 日本", "license_keys": []}
    shell.server.register("license.get_non_commercial_license", lambda **_: keys)
    status, out, err = shell("download", "houdini", "20.5", "production", "linux", "-o", str(folder))
    shown = "日本" if encoding == "utf-8" else "\\u65e5\\u672c"
    assert (status, err) == (0, "")
    assert out.endswith(f"{shown}{os.sep}houdini-20.5.583-linux_x86_64_gcc11.2.tar.gz\n")
    assert shell("license", "lic", "12ab", "--product", "HOUDINI-NC") == (0, f"SERVER {shown}\n", "")


# Text of a server.


@pytest.mark.parametrize("words", ["-v call farm.get_f", "auth", "builds houdini"])
@pytest.mark.parametrize("status", [403, 422, 429, 500])
def test_server_text_cannot_control_the_terminal(shell: Shell, words: str, status: int) -> None:
    text = "\x1b]0;title\x07\x1b[2J\r\x9b31m \u202e end"
    function = "token" if words == "auth" else None
    shell.server.fail(status, text, times=9, function=function, headers={"Retry-After": "999"})
    done = shell(*words.split())
    assert done.status in (1, 4)
    assert "end" in done.err
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", done.out + done.err)


@needs_terminal
@pytest.mark.parametrize("words", ["auth", "builds houdini", "builds houdini --json", "call farm.stream"])
def test_a_closed_pipe_is_status_141_without_a_message(shell: Shell, words: str) -> None:
    shell.server.register("farm.stream", lambda: b"x" * (1 << 20))
    process = shell.start(*words.split())
    assert process.stdout is not None
    process.stdout.close()
    assert (process.communicate(timeout=60)[1], process.returncode) == (b"", 141)


def test_rich_is_imported_only_to_draw(shell: Shell) -> None:
    code = "import atexit\natexit.register(lambda: print('rich' in sys.modules, file=sys.stderr))"
    for words, drawn in (("download houdini 20.5 production linux", "False"), ("builds houdini", "True")):
        assert shell.python(code, *words.split()).err.strip() == drawn


@pytest.mark.parametrize(("module", "words"), [("platformdirs", "auth"), ("rich", "builds houdini")])
def test_without_the_extra_the_error_says_how_to_install_it(shell: Shell, module: str, words: str) -> None:
    status, _, err = shell.python(f"sys.modules[{module!r}] = None", *words.split())
    told = f"{module} is not installed: it comes with pip install 'sidefx-client[cli]' (in a clone: '.[cli]')"
    assert (status, err) == (1, f"sidefx-client: error: {told}\n")


# On a terminal.


@needs_terminal
def test_a_bar_shows_size_and_speed_on_a_terminal(shell: Shell) -> None:
    content = os.urandom(1 << 20)
    with ScriptedServer([send_in_steps(content)]) as files:
        offer(shell, files, content)
        status, shown = on_terminal(shell, "download", "houdini", "20.5", stream="err")
    assert status == 0
    assert re.search(r"houdini 20\.5 .*1\.0/1\.0 MB.*\d (bytes|[kMG]B)/s", shown)


@needs_terminal
def test_a_stream_does_not_go_to_a_terminal(shell: Shell) -> None:
    shell.server.register("farm.stream", lambda: Stream(b"\x1b[31m", "scene.hip"))
    status, shown = on_terminal(shell, "call", "farm.stream", stream="out")
    assert (status, shown) == (1, "")


@needs_terminal
def test_no_color_and_narrow_terminals(shell: Shell) -> None:
    words = ("builds", "houdini", "20.5", "--platform", "linux")
    assert "\x1b[" in on_terminal(shell, *words, stream="out")[1]
    shell.environment["NO_COLOR"] = "1"
    status, shown = on_terminal(shell, *words, stream="out", columns=60)
    assert (status, "\x1b[33m" in shown) == (0, False)
    assert max(len(re.sub(r"\x1b\[\d*m", "", line)) for line in shown.splitlines()) <= 60


def test_W3_console_without_vt_mode_gets_no_escape_codes(shell: Shell) -> None:
    shell.environment.update(TERM="xterm-256color")
    code = "import rich.console\nrich.console.detect_legacy_windows = lambda: True\nsys.stdout.isatty = lambda: True"
    status, out, err = shell.python(code, "builds", "houdini")
    assert (status, "\x1b" in out, err) == (0, False, "")
    assert "gold" in out
