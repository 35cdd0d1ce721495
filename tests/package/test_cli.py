"""The commands builds, download, call, license and serve: their output, their requests, their exit status."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from typing import Any

import pytest
from support.files import head
from support.scripted import Connection, Request, ScriptedServer, http_response
from support.shells import ROOT, Shell, needs_full_device, needs_terminal, offer, send_in_steps, text_of

from sidefx_client.downloads import this_platform
from sidefx_client.testing import Call, Stream

# builds

TABLE = """\
Version   Build   Date         Platform               Release   Status
──────────────────────────────────────────────────────────────────────
20.5        583   2025/04/17   linux_x86_64_gcc11.2   gold      good
20.5        445   2024/12/19   linux_x86_64_gcc11.2   gold      good
20.5        278   2024/07/11   linux_x86_64_gcc11.2   gold      good
"""


def test_builds_prints_a_table_newest_first(shell: Shell) -> None:
    status, out, err = shell("builds", "houdini", "20.5", "--platform", "linux", "--production")
    assert (status, [line.rstrip() for line in out.splitlines()], err) == (0, TABLE.splitlines(), "")
    _, out, _ = shell("builds", "houdini", "20.0", "20.5", "--platform", "linux_x86_64_gcc11")
    numbers = [".".join(line.split()[:2]) for line in out.splitlines()[2:]]
    assert numbers[:3] == ["20.5.1002", "20.5.601", "20.5.583"]
    assert numbers[5:7] == ["20.5.99", "20.0.1007"]


def test_builds_as_json_are_all_or_those_that_build_selects(shell: Shell) -> None:
    words = ("builds", "houdini", "20.5", "--platform", "linux", "--json")
    with shell.server.service() as service:
        found = service.download.get_daily_builds_list("houdini", ["20.5"], "linux")
    status, out, err = shell(*words)
    assert (status, json.loads(out), err) == (0, found, "")
    one = json.loads(shell(*words, "--build", "583").out)
    assert one == [build for build in found if build["build"] == "583"]
    production = json.loads(shell(*words, "--build", "production").out)
    assert production == [build for build in found if build["release"] == "gold"]


def test_the_latest_build_is_one_line_or_one_object(shell: Shell) -> None:
    name = this_platform()
    builds = [
        {"version": "20.5", "build": build, "date": "d", "platform": f"{name}{n}", "release": "devel", "status": status}
        for n, (build, status) in enumerate([("99", "good"), ("583", "good"), ("9" * 5000, "bad")])
    ]
    shell.server.register("download.get_daily_builds_list", lambda *args, **kwargs: builds)
    assert shell("builds", "houdini", "20.5", "--latest") == (0, f"20.5 583 d {name}1 devel good\n", "")
    assert json.loads(shell("builds", "houdini", "--latest", "--json").out) == builds[1]
    builds[:] = builds[2:]
    status, out, err = shell("builds", "houdini", "20.5", "--latest")
    assert (status, out) == (1, "")
    assert f"no good build of houdini 20.5 for {name}" in err


# download


def test_a_download_prints_its_path_and_says_if_the_file_exists(shell: Shell) -> None:
    shell.server.build_size = 3 << 20
    (shell.directory / "builds").mkdir()
    words = ("download", "houdini", "-x", "2", "20.5", "production", "-o", "builds", "linux")
    name = "houdini-20.5.583-linux_x86_64_gcc11.2.tar.gz"
    path = os.path.join("builds", name)
    assert shell(*words) == (0, path + "\n", "")
    assert (shell.directory / path).stat().st_size == 3 << 20
    fetched = len(shell.server.downloads)
    assert shell(*words) == (0, path + "\n", f"sidefx-client: {name} is already there\n")
    assert shell(*words, "--quiet") == (0, path + "\n", "")
    assert len(shell.server.downloads) == fetched


@needs_terminal
def test_ctrl_c_keeps_the_partial_file_and_says_so(shell: Shell) -> None:
    content = os.urandom(2 << 20)
    half = len(content) // 2

    def stall_at_half(connection: Connection, request: Request) -> None:
        connection.send(head(request, content), content[:half])
        connection.stall()

    with ScriptedServer([stall_at_half]) as files:
        offer(shell, files, content)
        process = shell.start("download", "houdini", "20.5")
        deadline = time.monotonic() + 20
        while sum(path.stat().st_size for path in shell.directory.glob("*.part")) < half:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        told = b"sidefx-client: interrupted; the partial file is kept: run the command again to resume\n"
        assert (process.returncode, out, err) == (130, b"", told)
    assert (shell.directory / "f.bin.part").stat().st_size == half


def test_a_long_download_reports_progress_in_a_log(shell: Shell) -> None:
    content = os.urandom(1 << 20)
    code = "from sidefx_client.cli import display\ndisplay.INTERVAL = 0.05"
    with ScriptedServer([send_in_steps(content)]) as files:
        offer(shell, files, content)
        status, out, err = shell.python(code, "download", "houdini", "20.5")
    assert (status, out) == (0, "f.bin\n")
    assert re.fullmatch(r"(sidefx-client: houdini 20\.5: \d\.\d of 1\.0 MB\n)+", err)


# call


def test_a_call_passes_text_json_files_and_words(shell: Shell) -> None:
    shell.server.register("farm.describe", lambda *args, **kwargs: {"scene": kwargs["scene"].data.decode()})
    (shell.directory / "shot.hip").write_bytes(b"scene")
    words = ["one", "pool=day", "count:=3", "-v", "scene@shot.hip", ':="a=b"', "v:x=1", ":=7"]
    status, out, err = shell("call", "farm.describe", *words)
    assert (status, json.loads(out)) == (0, {"scene": "scene"})
    assert re.search(r"DEBUG farm.describe: 200 after \d+ ms", err)
    assert shell.server.calls == [
        Call("farm.describe", ["one", "a=b", 7], {"pool": "day", "count": 3, "v:x": "1"}, shell.server.calls[0].files)
    ]


def test_json_is_valid_in_any_encoding(shell: Shell) -> None:
    shell.server.register("farm.text", lambda: {"a": "Grüße \x1b\x9b\u202e"})
    assert shell("call", "farm.text").out == '{\n  "a": "Grüße \\u001b\\u009b\\u202e"\n}\n'
    shell.environment["PYTHONIOENCODING"] = "ascii"
    assert json.loads(shell("call", "farm.text").out) == {"a": "Grüße \x1b\x9b\u202e"}
    assert shell("call", "farm.text", "-o", "text.json") == (0, "", "")
    assert json.loads((shell.directory / "text.json").read_bytes()) == {"a": "Grüße \x1b\x9b\u202e"}


@pytest.mark.parametrize("text", ['[-1e999, "Infinity, NaN \\" -Infinity", "\\ud800"]', "[" * 400 + "]" * 400])
def test_L3_infinity_and_surrogates_are_printed_as_json(shell: Shell, text: str) -> None:
    with ScriptedServer([http_response(200, text.encode(), {"Content-Type": "application/json"})]) as api:
        shell.environment["SIDEFX_ENDPOINT_URL"] = api.url + "/api/"
        status, out, err = shell("call", "farm.f")
    assert (status, err) == (0, "")
    assert json.loads(out, parse_constant=pytest.fail) == json.loads(text)


def test_a_stream_goes_to_stdout_or_to_a_file(shell: Shell) -> None:
    content = os.urandom(1 << 20)
    shell.server.register("farm.stream", lambda: Stream(content, "scene.hip"))
    for words in ([], ["-o", "-"]):
        process = shell.start("call", "farm.stream", *words)
        assert (*process.communicate(timeout=60), process.returncode) == (content, b"", 0)
    assert shell("call", "farm.stream", "-o", "out.bin") == (0, "", "")
    assert (shell.directory / "out.bin").read_bytes() == content


@pytest.mark.parametrize("output", ["nowhere/file", os.devnull, ""])
def test_an_output_that_cannot_be_a_file_is_an_error_before_the_call(shell: Shell, output: str) -> None:
    status, out, err = shell("call", "bugs.get_submission_options", "-o", output)
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert shell.server.requests == 0


@needs_terminal
@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
def test_L2_older_output_survives_a_full_disk(shell: Shell, stream: bool) -> None:
    content = "x" * 100_000
    shell.server.register("farm.f", lambda: content.encode() if stream else content)
    (shell.directory / "out").write_text("older")
    limit = "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))"
    status, out, err = shell.python(limit, "call", "farm.f", "-o", "out")
    assert (status, out) == (1, "" if stream else f'"{content}"\n')  # the result is not lost
    assert "File too large" in err
    assert [path.name for path in shell.directory.iterdir()] == ["out"]
    assert (shell.directory / "out").read_text() == "older"


# license, serve


def test_license_prints_one_key_a_line(shell: Shell) -> None:
    products = ("--product", "HOUDINI-NC", "--product", "RENDER-NC")
    status, out, err = shell("license", "lic", "12ab", *products, "--version", "20.5")
    starts = [" ".join(line.split()[:3]) for line in out.splitlines()]
    assert (status, err) == (0, "")
    assert starts == ["SERVER lic 12ab", "LICENSE HOUDINI-NC 20.5", "LICENSE RENDER-NC 20.5"]


def test_L2_license_key_or_build_cannot_control_the_terminal_or_add_a_line(shell: Shell) -> None:
    evil = "[red] a\nforged\r\x9b2J\u2028b \x1b]0;title\x07"
    keys, builds = {"server_key": evil, "license_keys": [evil, "c"]}, [{"build": evil, "release": None}]
    shell.server.register("license.get_non_commercial_license", lambda **_: keys)
    shell.server.register("download.get_daily_builds_list", lambda *_, **__: builds)
    license_keys = shell("license", "lic", "12ab", "--product", "HOUDINI-NC")
    assert len(license_keys.out.splitlines()) == 3
    for done in (license_keys, shell("builds", "houdini", "--json"), shell("builds", "houdini")):
        assert (done.status, done.err) == (0, "")
        assert "[red]" in done.out
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028]", done.out)


@needs_terminal
@pytest.mark.parametrize("stdout", [">&-", pytest.param(">/dev/full", marks=needs_full_device), "| true"])
@pytest.mark.parametrize("words", ["license lic 12ab --product HOUDINI-NC", "call farm.make"])
def test_L2_result_goes_to_stderr_if_stdout_fails(shell: Shell, stdout: str, words: str) -> None:
    keys = {"server_key": "SERVER key", "license_keys": ["LICENSE key"]}
    shell.server.register("license.get_non_commercial_license", lambda **_: keys)
    shell.server.register("farm.make", lambda: "SERVER key LICENSE key")
    err = shell.sh(f"{words} {stdout}").err
    assert "SERVER key" in err
    assert "LICENSE key" in err
    assert "Traceback" not in err
    assert "Exception ignored" not in err


@pytest.mark.parametrize(
    "odd", [{"license_keys": ["KEY"]}, {"server_key": "KEY", "license_keys": "KEY"}, None], ids=str
)
def test_a_result_of_an_unknown_form_is_printed_as_json(shell: Shell, odd: Any) -> None:
    shell.server.register("license.get_non_commercial_license", lambda **_: odd)
    shell.server.register("download.get_daily_builds_list", lambda *_, **__: odd)
    for words in (["license", "lic", "12ab", "--product", "HOUDINI-NC"], ["builds", "houdini"]):
        status, out, err = shell(*words)
        assert (status, json.loads(out), err) == (0, odd, "")


@needs_terminal
def test_serve_prints_lines_for_sh_and_powershell_until_ctrl_c(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    serving = shell.start("serve", "--port", str(port))
    assert serving.stdout is not None
    lines = [text_of(serving.stdout.readline()) for _ in range(4)]
    assert f"export SIDEFX_ENDPOINT_URL='http://127.0.0.1:{port}/api/'\n" in lines
    script = "".join(lines) + f"'{sys.executable}' -m sidefx_client call bugs.get_submission_options"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    out = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, timeout=60).stdout
    assert list(json.loads(out)) == ["os", "products", "categories"]
    serving.send_signal(signal.SIGINT)
    out, err = (text_of(output) for output in serving.communicate(timeout=60))
    assert (serving.returncode, out) == (130, "")
    assert err.startswith(f"Local server at http://127.0.0.1:{port}, Ctrl-C stops it.")
    assert f"$env:SIDEFX_ENDPOINT_URL = 'http://127.0.0.1:{port}/api/'\n" in err
    assert err.endswith("sidefx-client: interrupted\n")
