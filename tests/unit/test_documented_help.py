"""What dir(), help(), inspect and IPython show of the documented functions, without a request."""

from __future__ import annotations

import inspect
import pydoc
import re
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import sidefx_client as sidefx
from sidefx_client.documented import functions as catalogue
from sidefx_client.documented import help as help_text

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


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_doc_tells_of_every_parameter_and_every_field_and_names_the_vendors_page(name: str) -> None:
    signature = help_text.signature(name)
    assert signature is not None
    head, _, text = str(help_text.doc(name)).partition("\n\n")
    assert head == name + SIGNATURES[name]
    told = set(re.findall(r"\w+", text))
    assert told >= set(signature.parameters)
    result = getattr(catalogue, signature.return_annotation.replace("list[", "").rstrip("]"), None)
    assert told >= set(getattr(result, "__annotations__", {}))
    assert "From https://www.sidefx.com/docs/api/" in text
    assert max(map(len, text.splitlines())) < 120


@pytest.mark.parametrize(
    "name",
    ["", "get_daily_builds_list", "download.", "download.__init__", "download.a", "hpack.a", "a.b.c"],
)
def test_what_is_not_written_down_has_no_documentation(name: str) -> None:
    assert help_text.doc(name) is None
    assert help_text.signature(name) is None


@pytest.mark.parametrize("name", catalogue.MODULES)
def test_the_doc_of_a_module_lists_its_functions_with_a_line_on_each(name: str) -> None:
    text = str(help_text.doc(name))
    for function in catalogue.functions(name):
        full_name = f"{name}.{function}"
        assert full_name + SIGNATURES[full_name] in text
        assert str(help_text.doc(full_name)).splitlines()[2] in text
    assert help_text.signature(name) is None


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
    doc = str(help_text.doc(name))
    assert str(inspect.signature(function(service, name))) == SIGNATURES[name]
    assert inspect.getdoc(function(service, name)) == doc
    shell = SHELL(config=Config({"HistoryManager": {"enabled": False}}))
    shell.push({"service": service})
    for shown in (pydoc.plain(pydoc.render_doc(function(service, name))), shell.object_inspect_text(f"service.{name}")):
        assert {line.strip() for line in shown.splitlines()} >= {line.strip() for line in doc.splitlines()}
    assert connects == []


def test_an_undocumented_function_has_a_plain_signature(service: sidefx.Service, connects: list[Any]) -> None:
    assert list(inspect.signature(service.hpack.anything).parameters) == ["args", "kwargs"]
    assert "hpack.anything" in repr(service.hpack.anything)
    assert connects == []


def test_help_of_a_module_shows_its_functions(service: sidefx.Service, connects: list[Any]) -> None:
    shown = pydoc.plain(pydoc.render_doc(service.download))
    assert "download.get_daily_builds_list(product: str" in shown
    assert "class APIFunction" not in shown
    assert connects == []
