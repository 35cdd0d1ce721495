"""The catalogue of documented functions: names, parameters, hints for near matches, types for type checkers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import sidefx_client as sidefx
from sidefx_client.documented import functions as catalogue
from sidefx_client.retry import is_read_only
from sidefx_client.testing import LocalServer

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["hpack", "", "get_daily_builds_list", "Download"])
def test_an_undocumented_module_has_no_functions(name: str) -> None:
    assert catalogue.functions(name) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("download.get_daily_build_download", {"product": "str", "version": "str", "build": "str | int"}),
        ("download.get_daily_builds_list", {"product": "str", "only_production": "bool"}),
        ("bugs.get_submission_options", {}),
    ],
)
def test_parameters_of_a_documented_function_have_their_annotations(name: str, expected: dict[str, str]) -> None:
    assert expected.items() <= catalogue.parameters(name).items()
    assert not {"self", "return"} & set(catalogue.parameters(name))


@pytest.mark.parametrize("name", ["download", "download.", "download.x", "hpack.upload_chunk", "download.__doc__", ""])
def test_an_undocumented_function_has_no_known_parameters(name: str) -> None:
    assert catalogue.parameters(name) == {}


def test_result_types_can_be_built_in_users_tests() -> None:
    build = catalogue.DailyBuild(
        build="1", date="2026/01/01", platform="linux", product="houdini", release="gold", status="good", version="20.5"
    )
    assert build["status"] == "good"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("download.get_daily_builds_list", True),
        ("download.get_daily_build_download", True),
        ("bugs.get_submission_options", True),
        ("changelog.get_latest_changelog_entries", True),
        ("license.get_non_commercial_license", False),
        ("bugs.submit_issue", False),
        ("hpack.get_package", True),
        ("a.b.get_it", True),
        ("get_it", True),
        ("hpack.get", False),
        ("hpack.getaway", False),
        ("get_set.go", False),
        ("keys", False),
        ("", False),
    ],
)
def test_read_only_functions_begin_with_get(name: str, expected: bool) -> None:
    assert is_read_only(name) is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("download.get_daily_builds_download", "download.get_daily_build_download"),
        ("download.get_daily_build_list", "download.get_daily_builds_list"),
        ("license.get_noncommercial_licence", "license.get_non_commercial_license"),
        ("bugs.submit_bug_issue", "bugs.submit_issue"),
        ("downloads.get_daily_builds_list", "download.get_daily_builds_list"),
        ("licence.get_non_commercial_license", "license.get_non_commercial_license"),
        ("bug.submit_issue", "bugs.submit_issue"),
        ("download.get_daily_builds_list", None),
        ("download.something_else", None),
        ("hpack.get_daily_builds_list", None),
        ("get_daily_builds_list", None),
        ("download", None),
    ],
)
def test_a_mistyped_function_suggests_the_near_match(name: str, expected: str | None) -> None:
    assert catalogue.suggestion(name) == expected


@pytest.mark.parametrize(
    ("keyword", "expected"),
    [("verison", "version"), ("productt", "product"), ("only_prod", "only_production"), ("version", None), ("x", None)],
)
def test_a_mistyped_parameter_suggests_the_near_match(keyword: str, expected: str | None) -> None:
    assert catalogue.parameter_suggestion("download.get_daily_builds_list", keyword) == expected
    assert catalogue.parameter_suggestion("hpack.get_list", keyword) is None


def test_the_error_of_a_mistyped_function_suggests_the_right_one(sidefx_server: LocalServer) -> None:
    with sidefx_server.service() as service, pytest.raises(sidefx.APIError) as caught:
        service.download.get_daily_builds_download("houdini", "20.5", "production", "linux")
    assert "did you mean download.get_daily_build_download?" in str(caught.value)
    assert [call.name for call in sidefx_server.calls] == ["download.get_daily_builds_download"]


def test_the_error_of_a_mistyped_parameter_suggests_the_right_one(sidefx_server: LocalServer) -> None:
    with sidefx_server.service() as service, pytest.raises(sidefx.APIError) as caught:
        service.download.get_daily_builds_list("houdini", verison="20.5")  # type: ignore[call-arg]
    hint = "(verison is not a parameter of download.get_daily_builds_list: did you mean version?)"
    assert caught.value.message.endswith(hint)
    assert sidefx_server.calls[-1].kwargs == {"verison": "20.5"}


def test_the_error_of_a_correct_call_has_no_hint(sidefx_server: LocalServer) -> None:
    sidefx_server.fail(422, "Not today.")
    with sidefx_server.service() as service, pytest.raises(sidefx.APIError) as caught:
        service.download.get_daily_builds_list("houdini", version="20.5")
    assert str(caught.value) == "422 Not today."


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
