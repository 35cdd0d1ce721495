"""The words of the command line: one grammar for builds and downloads, items of a call, hints in usage errors."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.shells import ROOT

from sidefx_client.cli import main
from sidefx_client.cli.items import item
from sidefx_client.cli.parser import parse
from sidefx_client.files import File

Capture = pytest.CaptureFixture[str]


def usage_error(words: list[str], capsys: Capture) -> list[str]:
    """Run a command that is wrong usage. Return the lines of stderr."""
    with pytest.raises(SystemExit) as stopped:
        main(words)
    out, err = capsys.readouterr()
    assert (stopped.value.code, out) == (2, "")
    return list(err.splitlines())


# The grammar of builds and download.


@pytest.mark.parametrize(
    "words",
    [
        "download houdini 20.5 583 linux",
        "download --platform linux houdini --build=583 20.5",
        "download houdini --version 20.5 --build 583 --platform linux",
        "-v download -x 2 houdini -o d 20.5 583 --timeout 3 linux -q",
    ],
)
def test_words_and_options_of_a_download_mean_the_same(words: str) -> None:
    options = parse(words.split())
    wanted = (options.product, options.version, options.build, options.platform)
    assert wanted == ("houdini", "20.5", "583", "linux")


@pytest.mark.parametrize(
    ("words", "versions", "build", "platform"),
    [
        ("builds houdini", None, None, None),
        ("builds houdini 20.0 20.5 --platform linux", ["20.0", "20.5"], None, "linux"),
        ("builds houdini --version 20.0 --version 20.5", ["20.0", "20.5"], None, None),
        ("builds houdini --latest 20.5", ["20.5"], "latest", None),
    ],
)
def test_builds_takes_versions_as_words_or_options(words: str, versions: Any, build: Any, platform: Any) -> None:
    options = parse(words.split())
    assert (options.version or None, options.build, options.platform) == (versions, build, platform)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("download houdini 20.5 --version 20.0", "VERSION is given twice"),
        ("download houdini 20.5 583 linux --platform macos", "PLATFORM is given twice"),
        ("download houdini", "required: VERSION"),
        ("builds", "required: PRODUCT"),
        ("download houdini 20.5 1 linux more", "unrecognized arguments: more"),
        ("download houdini 20.5 -o -", "DIR is a directory"),
        ("download houdini 20.5 -x 33", "a number from 1 to 32, not 33"),
        ("login --client-secret x", "unrecognized arguments: --client-secret x"),
        ("auth --timeout soon", "invalid float value: 'soon'"),
        ("call", "required: FUNCTION"),
        ("call farm.f a=1 a:=2", "a is given twice"),
        ("builds houdini --plattform linux", "did you mean --platform?"),
        ("download houdini 20.5 --conections=4", "did you mean --connections?"),
        ("call download.get_daily_builds_list houdini verison=20.5", "did you mean version?"),
        ("call farm.f a:=tru", "a:=tru is not JSON"),
    ],
)
def test_wrong_usage_shows_the_usage_of_its_command(words: str, reason: str, capsys: Capture) -> None:
    lines = usage_error(words.split(), capsys)
    assert lines[0].startswith(f"usage: sidefx-client {words.split()[0]} ")
    assert lines[-1].startswith(f"sidefx-client {words.split()[0]}: error: ")
    assert reason in lines[-1]


def test_a_usage_error_suggests_only_near_matches(capsys: Capture) -> None:
    assert usage_error(["biulds", "houdini"], capsys)[-1].endswith("did you mean builds?")
    for words in ("xyz", "builds houdini --xyz", ""):
        assert "did you mean" not in usage_error(words.split(), capsys)[-1]
    for word in ("xyz=1", "release=gold", "product_line=1"):  # the server may know more parameters than its pages
        assert parse(["call", "download.get_daily_builds_list", word]).items == [tuple(word.split("="))]


# The items of a call.


@pytest.mark.parametrize(
    ("word", "name", "value"),
    [
        ("houdini", None, "houdini"),
        ("version=", "version", ""),
        ("a=b=c@d:=e", "a", "b=c@d:=e"),
        ("only_production:=true", "only_production", True),
        ('versions:=["20.0", "20.5"]', "versions", ["20.0", "20.5"]),
        (":=100000", None, 100000),
        (':="a=b"', None, "a=b"),
        ("person:name=Ann", "person:name", "Ann"),
        ("a::=1", "a:", 1),
        ("https://host/path?x=y", None, "https://host/path?x=y"),
        ("C:\\shot=1.hip", None, "C:\\shot=1.hip"),
        ("=x", None, "=x"),
        ("-5", None, "-5"),
    ],
)
def test_a_word_is_an_argument(word: str, name: str | None, value: Any) -> None:
    assert parse(["call", "farm.f", word]).items == [(name, value)]


def test_an_at_sign_is_an_upload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "shot.hip").touch()
    name, file = item("v:scene@~/shot.hip")
    assert (name, type(file)) == ("v:scene", File)
    assert Path(str(file.filename)) == tmp_path / "shot.hip"


WRONG_ITEMS = ["a:=tru", "a:=", ":=", ":=x", "a:=NaN", "a:=-Infinity", "a:=" + "[" * 100_000, "a:=" + "1" * 5000]


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("word", [*WRONG_ITEMS, "scene@nowhere.hip", "scene@/", "joe@example.com", "json@" + __file__])
def test_L3_invalid_item_is_a_usage_error(word: str) -> None:
    hint = r"text is (a|name)=TEXT|write text with an @ as|cannot be named json"
    with pytest.raises(argparse.ArgumentTypeError, match=hint) as raised:
        item(word)
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize(("word", "hint"), [("False", "false"), ("yes", "true")])
def test_text_for_a_bool_parameter_is_a_usage_error(word: str, hint: str, capsys: Capture) -> None:
    words = ["call", "download.get_daily_builds_list", "houdini"]
    told = "only_production is a bool, not text: write "
    line = usage_error([*words, f"only_production={word}"], capsys)[-1]
    assert line.endswith(f"{told}only_production:={hint}")
    assert parse([*words, f"only_production:={hint}"]).items[1] == ("only_production", hint == "true")
    assert usage_error([*words, "20.5", "linux", word], capsys)[-1].endswith(f"{told}:={hint}")


@pytest.mark.parametrize("name", ["", "\udcff.b", "a.\x1b", "a.b\nc"])
def test_L3_invalid_function_name_is_a_usage_error(name: str, capsys: Capture) -> None:
    assert usage_error(["call", name, "x"], capsys)[-1].endswith("a name such as download.get_daily_builds_list")


# Help and completion.


def test_help_fits_a_terminal_of_60_columns(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    for words in ([], ["builds"], ["download"], ["call"], ["license"], ["login"], ["logout"], ["auth"], ["serve"]):
        with pytest.raises(SystemExit):
            main([*words, "--help"])
        out = capsys.readouterr().out
        assert out.isascii()
        assert max(map(len, out.splitlines())) <= 60, words
        assert words or all(text in out for text in ("examples:", "SIDEFX_CLIENT_SECRET", "exit status:"))


def complete(line: str, directory: Path) -> set[str]:
    """Return the completions of a command line, requested as the shell function of argcomplete does."""
    found = str(directory / "completions")
    asked = {"COMP_LINE": line, "COMP_POINT": str(len(line)), "COMP_TYPE": "9", "_ARGCOMPLETE": "1"}
    output = {"_ARGCOMPLETE_IFS": "\n", "_ARGCOMPLETE_STDOUT_FILENAME": found}
    command = [sys.executable, "-c", "from sidefx_client.cli import main\nmain()"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **asked, **output}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert (done.stdout, done.stderr) == ("", "")
    return {word.strip() for word in Path(found).read_text().splitlines()}


def test_argcomplete_completes_commands_options_and_values(tmp_path: Path) -> None:
    assert complete("sidefx-client lo", tmp_path) == {"login", "logout"}
    assert complete("sidefx-client builds --l", tmp_path) == {"--latest"}
    assert complete("sidefx-client download houdini 20.5 latest win", tmp_path) == {"win64"}
    assert complete("sidefx-client call download.get_daily_builds_list ver", tmp_path) == {"version="}
    assert complete("sidefx-client call changelog.", tmp_path) == {"changelog.get_latest_changelog_entries"}
