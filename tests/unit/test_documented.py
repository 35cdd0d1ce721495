"""What is known of the documented functions: which they are, which only read, and what a type checker knows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import sidefx_client as sidefx
from sidefx_client.documented import functions as catalogue
from sidefx_client.testing import LocalServer

ROOT = Path(__file__).parents[2]

FUNCTIONS = [
    "download.get_daily_builds_list",
    "download.get_daily_build_download",
    "license.get_non_commercial_license",
    "bugs.get_submission_options",
    "bugs.submit_issue",
    "changelog.get_latest_changelog_entries",
]


def test_the_catalogue_has_the_documented_functions_and_no_others() -> None:
    names = [f"{module}.{name}" for module in catalogue.MODULES for name in catalogue.functions(module)]
    assert names == FUNCTIONS
    assert catalogue.functions("hpack") == []


def test_a_result_can_be_made_up_for_a_test() -> None:
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
def test_only_functions_that_read_may_be_sent_again(name: str, expected: bool) -> None:
    assert catalogue.read_only(name) is expected


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


def test_the_error_of_a_mistyped_function_suggests_the_right_one_and_the_call_went_out(
    sidefx_server: LocalServer,
) -> None:
    with sidefx_server.service() as service, pytest.raises(sidefx.APIError) as caught:
        service.download.get_daily_builds_download("houdini", "20.5", "production", "linux")
    assert "did you mean download.get_daily_build_download?" in str(caught.value)
    assert [call.name for call in sidefx_server.calls] == ["download.get_daily_builds_download"]


@pytest.mark.parametrize(
    "checker",
    [("mypy", "--strict", "--follow-imports=silent"), ("pyright", "--pythonpath", sys.executable)],
    ids=lambda checker: checker[0],
)
def test_a_type_checker_knows_the_documented_functions_and_lets_the_others_pass(checker: tuple[str, ...]) -> None:
    tool, *options = checker
    if subprocess.run([sys.executable, "-m", tool, "--version"], capture_output=True, cwd=ROOT, check=False).returncode:
        pytest.skip(f"{tool} is not installed, or cannot run here")
    command = [sys.executable, "-m", tool, *options, "tests/package/typing_cases.py"]
    checked = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
