"""What dir(), help(), inspect, IPython and type checkers tell of the documented functions, without a request."""

from __future__ import annotations

import inspect
import pydoc
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import sidefx_client as sidefx
from sidefx_client import catalogue
from sidefx_client.testing import LocalServer

ROOT = Path(__file__).parent.parent
SHELL: Any = InteractiveShell  # it has no types

SIGNATURES = {
    "download.get_daily_builds_list": (
        "(product: str, version: str | Sequence[str] | None = None, platform: str | None = None, "
        "only_production: bool = False) -> list[DailyBuild]"
    ),
    "download.get_daily_build_download": (
        "(product: str, version: str, build: str | int, platform: str) -> BuildDownload"
    ),
    "license.get_non_commercial_license": (
        "(*, server_name: str, server_code: str, products: str, version: str | None = None) -> NonCommercialLicense"
    ),
    "bugs.get_submission_options": "() -> SubmissionOptions",
    "bugs.submit_issue": (
        "(priority: str, product: str, type: str, category: str, os: str, version: str, summary: str, "
        "description: str, watchers: Sequence[str] = (), custom_id: str | None = None) -> dict[str, Any]"
    ),
    "changelog.get_latest_changelog_entries": "(version: str) -> list[ChangelogEntry]",
}


@pytest.fixture
def service(connects: list[Any]) -> sidefx.Service:
    """A service that nobody answers; the test fails where it tries to connect."""
    return sidefx.Service("http://127.0.0.1:1/api", "", None)


def function(service: sidefx.Service, name: str) -> Any:
    module, _, last = name.partition(".")
    return getattr(getattr(service, module), last)


# The catalogue


def test_the_catalogue_has_the_documented_functions_and_no_others() -> None:
    names = [f"{module}.{name}" for module in catalogue.MODULES for name in catalogue.functions(module)]
    assert names == list(SIGNATURES)
    assert catalogue.functions("hpack") == []


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_doc_tells_of_every_parameter_and_every_field_and_names_the_vendors_page(name: str) -> None:
    documented = catalogue.documented(name)
    assert documented is not None
    head, _, text = documented.doc.partition("\n\n")
    assert head == name + SIGNATURES[name]
    told = set(re.findall(r"\w+", text))
    assert told >= set(documented.signature.parameters)
    result = getattr(catalogue, documented.signature.return_annotation.replace("list[", "").rstrip("]"), None)
    assert told >= set(getattr(result, "__annotations__", {}))
    assert "From https://www.sidefx.com/docs/api/" in text
    assert max(map(len, text.splitlines())) < 120


@pytest.mark.parametrize(
    "name",
    ["", "download", "get_daily_builds_list", "download.", "download.__init__", "download.a", "hpack.a", "a.b.c"],
)
def test_what_is_not_written_down_has_no_documentation(name: str) -> None:
    assert catalogue.documented(name) is None


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


# What a person sees


def test_dir_shows_modules_and_their_functions(service: sidefx.Service, connects: list[Any]) -> None:
    assert {"download", "license", "bugs", "changelog"} <= set(dir(service))
    for module in catalogue.MODULES:
        shown = [name for name in dir(getattr(service, module)) if not name.startswith("_")]
        assert shown == sorted(["function_name", "service", *catalogue.functions(module)])
    assert connects == []


@pytest.mark.parametrize("name", SIGNATURES)
def test_help_inspect_and_ipython_show_signature_and_doc(
    name: str, service: sidefx.Service, connects: list[Any]
) -> None:
    documented = catalogue.documented(name)
    assert documented is not None
    assert str(inspect.signature(function(service, name))) == SIGNATURES[name]
    assert inspect.getdoc(function(service, name)) == documented.doc
    shell = SHELL(config=Config({"HistoryManager": {"enabled": False}}))
    shell.push({"service": service})
    for shown in (pydoc.plain(pydoc.render_doc(function(service, name))), shell.object_inspect_text(f"service.{name}")):
        assert {line.strip() for line in shown.splitlines()} >= {line.strip() for line in documented.doc.splitlines()}
    assert connects == []


def test_an_undocumented_function_has_a_plain_signature(service: sidefx.Service, connects: list[Any]) -> None:
    assert list(inspect.signature(service.hpack.anything).parameters) == ["args", "kwargs"]
    assert "hpack.anything" in repr(service.hpack.anything)
    assert connects == []


# What a type checker sees


@pytest.mark.parametrize(
    "checker",
    [("mypy", "--strict", "--follow-imports=silent"), ("pyright", "--pythonpath", sys.executable)],
    ids=lambda checker: checker[0],
)
def test_a_type_checker_knows_the_documented_functions_and_lets_the_others_pass(checker: tuple[str, ...]) -> None:
    tool, *options = checker
    if subprocess.run([sys.executable, "-m", tool, "--version"], capture_output=True, cwd=ROOT, check=False).returncode:
        pytest.skip(f"{tool} is not installed, or cannot run here")
    command = [sys.executable, "-m", tool, *options, "tests/typing_cases.py"]
    checked = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
