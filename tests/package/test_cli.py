"""The commands as people run them: what they print, what they ask the server for, their exit status."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.scripted import Connection, Request, ScriptedServer, answer
from support.shells import ROOT, Shell, needs_terminal, offer

from sidefx_client.cli.items import in_place, item
from sidefx_client.cli.parser import parse
from sidefx_client.files import File
from sidefx_client.testing import Call, LocalServer, Stream, Upload

BUILD = "houdini-20.5.583-linux_x86_64_gcc11.2.tar.gz"


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    with LocalServer() as server:
        yield Shell(server, tmp_path)


# builds

TABLE = """\
Version   Build   Date         Platform               Release   Status
──────────────────────────────────────────────────────────────────────
20.5        583   2025/04/17   linux_x86_64_gcc11.2   gold      good
20.5        445   2024/12/19   linux_x86_64_gcc11.2   gold      good
20.5        278   2024/07/11   linux_x86_64_gcc11.2   gold      good
"""


def test_builds_are_a_table_with_the_newest_first(shell: Shell) -> None:
    shell.environment["PYTHONIOENCODING"] = "utf-8"
    status, out, err = shell("builds", "houdini", "--version", "20.5", "--platform", "linux", "--production")
    assert (status, [line.rstrip() for line in out.splitlines()], err) == (0, TABLE.splitlines(), "")
    _, out, _ = shell("builds", "houdini", "--version", "20.0", "--version", "20.5", "--platform", "linux_x86_64_gcc11")
    numbers = [tuple(line.split()[:2]) for line in out.splitlines()[2:]]
    assert numbers[:5] == [("20.5", "1002"), ("20.5", "601"), ("20.5", "583"), ("20.5", "445"), ("20.5", "278")]
    assert numbers[5:] == [
        ("20.5", "99"),
        ("20.0", "1007"),
        ("20.0", "688"),
        ("20.0", "506"),
        ("20.0", "382"),
        ("20.0", "95"),
    ]


def test_builds_as_json_are_what_the_server_said(shell: Shell) -> None:
    status, out, err = shell("builds", "--json", "houdini", "--version", "20.5", "--platform", "linux")
    with shell.server.service() as service:
        assert json.loads(out) == service.download.get_daily_builds_list("houdini", ["20.5"], "linux")
    assert (status, err) == (0, "")


def test_what_a_server_says_cannot_steer_the_terminal(shell: Shell) -> None:
    evil = {"version": "20.5", "build": "\x1b]0;title\x07", "platform": "[red]\x9b31m", "release": None}
    shell.server.register("download.get_daily_builds_list", lambda *args, **kwargs: [evil])
    _, out, _ = shell("builds", "houdini")
    assert "?]0;title?" in out
    assert "[red]?31m" in out
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", out)


# download


def test_a_download_prints_its_path_and_nothing_else(shell: Shell) -> None:
    shell.server.build_size = 3 << 20
    (shell.directory / "builds").mkdir()
    words = ("download", "houdini", "-x", "2", "20.5", "production", "-o", "builds", "linux")
    path = os.path.join("builds", BUILD)
    assert shell(*words) == (0, path + os.linesep, "")
    with shell.server.service() as service:
        known = service.download.get_daily_build_download("houdini", "20.5", "583", "linux")
    content = (shell.directory / path).read_bytes()
    assert hashlib.md5(content, usedforsecurity=False).hexdigest() == known["hash"]
    fetched = len(shell.server.downloads)
    assert shell(*words) == (0, path + os.linesep, "")
    assert len(shell.server.downloads) == fetched


def test_a_download_is_for_this_machine_where_no_platform_is_named(shell: Shell) -> None:
    assert shell("download", "houdini", "20.5", "445").status == 0
    args = shell.server.calls[-1].args
    assert args[:3] == ["houdini", "20.5", "445"]
    assert args[3] in ("linux", "macos", "macosx_arm64", "win64")


@needs_terminal
def test_ctrl_c_keeps_the_partial_and_the_next_run_goes_on_from_it(shell: Shell) -> None:
    content = os.urandom(2 << 20)
    half = len(content) // 2

    def stall_at_half(connection: Connection, request: Request) -> None:
        connection.send(answer(200, headers={"Content-Length": str(len(content)), "ETag": '"1"'}), content[:half])
        connection.stall()

    def go_on(connection: Connection, request: Request) -> None:
        start = int((request.header("Range") or "")[len("bytes=") : -1])
        told = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}", "ETag": '"1"'}
        connection.send(answer(206, content[start:], told))

    with ScriptedServer([stall_at_half, go_on]) as files:
        offer(shell, files, content)
        process = shell.start("download", "houdini", "20.5")
        deadline = time.monotonic() + 20
        while sum(path.stat().st_size for path in shell.directory.glob("*.part")) < half:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
        told = b"sidefx-client: interrupted; what came is kept: run it again to resume\n"
        assert (process.returncode, out, err) == (130, b"", told)
        assert shell("download", "houdini", "20.5") == (0, "f.bin\n", "")
        assert files.requests[1].header("Range") == f"bytes={half}-"
    assert (shell.directory / "f.bin").read_bytes() == content


# call


@pytest.mark.parametrize(
    ("word", "name", "value"),
    [
        ("houdini", None, "houdini"),
        ("version=20.5", "version", "20.5"),
        ("version=", "version", ""),
        ("a=b=c@d:=e", "a", "b=c@d:=e"),
        ("text=two\nlines", "text", "two\nlines"),
        ("only_production:=true", "only_production", True),
        ('versions:=["20.0", "20.5"]', "versions", ["20.0", "20.5"]),
        ("none:=null", "none", None),
        ("https://host/path", None, "https://host/path"),
        ("two words=x", None, "two words=x"),
        ("=x", None, "=x"),
        ("-5", None, "-5"),
    ],
)
def test_a_word_is_an_argument(word: str, name: str | None, value: Any) -> None:
    assert item(word) == (name, value)


def test_an_at_sign_is_an_upload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "shot.hip").touch()
    name, file = item("scene@~/shot.hip")
    assert name == "scene"
    assert isinstance(file, File)
    assert Path(str(file.filename)) == tmp_path / "shot.hip"


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("word", ["a:=tru", "a:=", "a:=NaN", "a:=" + "[" * 100_000, "scene@nowhere.hip", "scene@/"])
def test_a_word_that_is_no_argument_is_refused_with_what_to_do(word: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"text is a=TEXT|goes behind --arg"):
        item(word)


def test_text_behind_arg_is_positional_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["first", "--arg", "a=b", "-o", "x", "-5", "--arg=--json", "k=v", "last"]
    options = parse(["call", "farm.f", *words])
    assert [i.value for i in options.items if i.name is None] == ["first", "a=b", "-5", "--json", "last"]
    assert list(in_place(["--arg"])) == ["--arg"]


def test_a_call_passes_text_json_files_and_words(shell: Shell) -> None:
    def describe(*args: Any, **kwargs: Any) -> Any:
        return {name: kwargs[name].data.decode() for name in kwargs if isinstance(kwargs[name], Upload)}

    shell.server.register("farm.describe", describe)
    (shell.directory / "shot.hip").write_bytes(b"scene")
    words = ["one", "pool=day", "count:=3", "-v", "scene@shot.hip", "--arg", "a=b"]
    status, out, err = shell("call", "farm.describe", *words)
    assert (status, json.loads(out)) == (0, {"scene": "scene"})
    assert re.search(r"DEBUG farm.describe \(attempt 1\): 200 after \d+ ms", err)
    assert shell.server.calls == [
        Call("farm.describe", ["one", "a=b"], {"pool": "day", "count": 3}, shell.server.calls[0].files)
    ]


def test_json_is_readable_and_stays_json_in_any_encoding(shell: Shell) -> None:
    shell.server.register("farm.text", lambda: {"a": "Grüße \x1b\x9b\u202e"})
    shell.environment["PYTHONIOENCODING"] = "utf-8"
    assert shell("call", "farm.text").out == '{\n  "a": "Grüße \\u001b\\u009b\\u202e"\n}\n'
    shell.environment["PYTHONIOENCODING"] = "ascii"
    assert json.loads(shell("call", "farm.text").out) == {"a": "Grüße \x1b\x9b\u202e"}
    assert shell("call", "farm.text", "-o", "text.json") == (0, "", "")
    assert json.loads((shell.directory / "text.json").read_bytes()) == {"a": "Grüße \x1b\x9b\u202e"}


def test_a_stream_goes_to_a_pipe_or_to_a_file(shell: Shell) -> None:
    content = os.urandom(1 << 20)
    shell.server.register("farm.stream", lambda: Stream(content, "scene.hip"))
    process = shell.start("call", "farm.stream")
    assert process.communicate(timeout=20) == (content, b"")
    assert process.returncode == 0
    assert shell("call", "farm.stream", "-o", "out.bin") == (0, "", "")
    assert (shell.directory / "out.bin").read_bytes() == content


@pytest.mark.parametrize("output", [".", "nowhere/file", os.devnull])
def test_where_an_answer_cannot_go_no_call_is_made(shell: Shell, output: str) -> None:
    text = f"sidefx-client: error: -o {output}: give the path of a file, in a directory that is there\n"
    assert shell("call", "bugs.get_submission_options", "-o", output) == (1, "", text)
    assert shell.server.requests == 0


# license, auth, serve


def test_a_license_is_lines_of_keys(shell: Shell) -> None:
    status, out, err = shell(
        "license", "lic", "12ab", "--product", "HOUDINI-NC", "--product", "RENDER-NC", "--version", "20.5"
    )
    call = shell.server.calls[0]
    assert (status, err, call.name) == (0, "", "license.get_non_commercial_license")
    assert call.kwargs == {
        "server_name": "lic", "server_code": "12ab", "products": "HOUDINI-NC;RENDER-NC", "version": "20.5",
    }  # fmt: skip
    starts = [" ".join(line.split()[:3]) for line in out.splitlines()]
    assert starts == ["SERVER lic 12ab", "LICENSE HOUDINI-NC 20.5", "LICENSE RENDER-NC 20.5"]


ODD = [{"license_keys": ["KEY"]}, {"server_key": "KEY", "license_keys": "KEY"}, ["KEY"], None]


@pytest.mark.parametrize("odd", ODD, ids=["no server_key", "one text", "list", "null"])
def test_an_answer_of_another_form_is_shown_as_it_is(shell: Shell, odd: Any) -> None:
    shell.server.register("license.get_non_commercial_license", lambda **_: odd)
    shell.server.register("download.get_daily_builds_list", lambda *_, **__: odd)
    for words in (["license", "lic", "12ab", "--product", "HOUDINI-NC"], ["builds", "houdini"]):
        status, out, err = shell(*words)
        assert (status, json.loads(out), err) == (0, odd, "")


def test_auth_tells_all_but_the_secret(shell: Shell) -> None:
    first = shell("auth")
    lines = dict(line.split(None, 1) if line[0] != "C" else re.split("  +", line) for line in first.out.splitlines())
    assert first == (0, first.out, "")
    assert lines["Credentials"] == "SIDEFX_CLIENT_ID and SIDEFX_CLIENT_SECRET"
    assert lines["Client id"] == "local-client-id"
    until = re.fullmatch(r"good until (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) .*", lines["Token"])
    assert until is not None
    left = time.mktime(time.strptime(until[1], "%Y-%m-%d %H:%M:%S")) - time.time()
    assert 43000 < left < 43200
    assert lines["Kept"].endswith("tokens.json by the other commands")


def test_a_token_is_kept_for_the_next_command_and_auth_tries_the_secret_all_the_same(shell: Shell) -> None:
    for _ in range(2):
        assert shell("builds", "houdini").status == 0
    assert shell.server.token_requests == 1
    (kept,) = Path.home().rglob("tokens.json")
    token = next(iter(json.loads(kept.read_text()).values()))["access_token"]
    assert token not in shell("auth").out
    assert shell.server.token_requests == 2
    shell.environment["SIDEFX_CLIENT_SECRET"] = "mistyped"
    assert shell("auth").status == 1
    assert shell("builds", "houdini").status == 0  # the kept token is good


@needs_terminal
def test_serve_prints_what_another_shell_needs_until_ctrl_c(shell: Shell) -> None:
    serving = shell.start("serve")
    assert serving.stdout is not None
    lines = [serving.stdout.readline().decode() for _ in range(4)]
    script = "".join(lines) + f"'{sys.executable}' -m sidefx_client call bugs.get_submission_options"
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONPATH": str(ROOT)}
    out = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, timeout=20).stdout
    assert list(json.loads(out)) == ["os", "products", "categories"]
    serving.send_signal(signal.SIGINT)
    out, err = (text.decode() for text in serving.communicate(timeout=10))
    assert (serving.returncode, out) == (130, "")
    assert re.fullmatch(r"Local server at http://127.0.0.1:\d+, Ctrl-C stops .*\nsidefx-client: interrupted\n", err)
