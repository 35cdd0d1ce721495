"""The catalogue of documented functions: names, parameters, hints for mistakes, types for type checkers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import sidefx_client as sidefx
from sidefx_client.documented.functions import hint, parameters
from sidefx_client.retry import is_read_only
from sidefx_client.testing import LocalServer

ROOT = Path(__file__).parents[2]


def test_parameters_of_a_documented_function_have_their_annotations() -> None:
    expected = {"product": "str", "version": "str", "build": "str | int", "platform": "str"}
    assert parameters("download.get_daily_build_download") == expected
    for name in ("bugs.get_submission_options", "download", "download.x", "download.__doc__", "a.b", ""):
        assert parameters(name) == {}


def test_read_only_functions_begin_with_get() -> None:
    read_only = ("download.get_daily_builds_list", "hpack.get_package", "a.b.get_it", "get_it")
    others = ("license.get_non_commercial_license", "bugs.submit_issue", "hpack.get", "hpack.getaway", "get_set.go", "")
    assert all(map(is_read_only, read_only))
    assert not any(map(is_read_only, others))


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("download.get_daily_build_list", "download.get_daily_builds_list"),
        ("downloads.get_daily_builds_list", "download.get_daily_builds_list"),
        *((name, None) for name in ("download.something_else", "hpack.get_daily_builds_list", "download")),
    ],
)
def test_a_mistyped_function_suggests_the_near_match(name: str, near: str | None) -> None:
    assert hint(name, ["productt"]) == (f"{name} is not a documented function: did you mean {near}?" if near else None)


def test_a_mistyped_parameter_suggests_the_near_match() -> None:
    name = "download.get_daily_builds_list"
    assert hint(name, ["version", "productt"]) == f"productt is not a parameter of {name}: did you mean product?"
    assert hint(name, ["version", "x"]) is None


def test_the_error_of_a_rejected_call_has_the_hint(sidefx_server: LocalServer) -> None:
    arguments: dict[str, Any] = {"verison": "20.5"}
    with sidefx_server.service() as service:
        with pytest.raises(sidefx.APIError, match=r"\(verison is not .*: did you mean version\?\)$"):
            service.download.get_daily_builds_list("houdini", **arguments)
        assert sidefx_server.calls[-1].kwargs == arguments
        with pytest.raises(sidefx.APIError, match=r"did you mean download.get_daily_build_download\?"):
            service.download.get_daily_builds_download("houdini", "20.5", "production", "linux")


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (lambda: sidefx.service("id", client_secret="a"), "'client_secret': did you mean client_secret_key?"),  # type: ignore[call-arg]
        (lambda: sidefx.Service("id", "secret"), "for an id and a secret use service()"),  # type: ignore[call-arg]
    ],
)
def test_a_mistaken_argument_raises_type_error_with_the_right_one(mistake: Any, words: str) -> None:
    with pytest.raises(TypeError) as caught:
        mistake()
    assert str(caught.value).endswith(words)


@pytest.mark.parametrize(
    "checker",
    [("mypy", "--strict", "--follow-imports=silent"), ("pyright", "--pythonpath", sys.executable)],
    ids=lambda checker: checker[0],
)
def test_type_checkers_know_documented_functions_and_accept_all_others(checker: tuple[str, ...]) -> None:
    tool, *options = checker
    if subprocess.run([sys.executable, "-m", tool, "--version"], capture_output=True, cwd=ROOT, check=False).returncode:
        pytest.skip(f"{tool} is not installed, or cannot run here")
    command = [sys.executable, "-m", tool, *options, "tests/package/typing_cases.py"]
    checked = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
