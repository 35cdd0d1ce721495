"""dir(), help() and inspect show the documented functions, without a request. For IPython see S1."""

from __future__ import annotations

import inspect
import pydoc
import re
from collections.abc import Iterator
from typing import Any

import pytest

import sidefx_client as sidefx
from sidefx_client.documented import functions as catalogue
from sidefx_client.documented import help as help_text

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
def service(connects: list[Any]) -> Iterator[sidefx.Service]:
    """Return a service without a server, and check that help sends no request."""
    yield sidefx.Service("http://127.0.0.1:1/api", "", None)
    assert connects == []


def function(service: sidefx.Service, name: str) -> Any:
    module, _, last = name.partition(".")
    return getattr(getattr(service, module), last)


def help_of(thing: object) -> str:
    return pydoc.plain(pydoc.render_doc(thing))


@pytest.mark.parametrize("name", SIGNATURES)
def test_help_names_every_parameter_every_field_and_the_vendors_page(name: str) -> None:
    signature = help_text.signature(name)
    assert signature is not None
    head, _, text = str(help_text.doc(name)).partition("\n\n")
    assert head == f"{name}{signature}"
    words = set(re.findall(r"\w+", text))
    result = getattr(catalogue, signature.return_annotation.replace("list[", "").rstrip("]"), None)
    assert words >= {*signature.parameters, *getattr(result, "__annotations__", {})}
    assert "From https://www.sidefx.com/docs/api/" in text
    assert max(map(len, text.splitlines())) < 120


@pytest.mark.parametrize(
    "name",
    ["get_daily_builds_list", "download.", "download.__init__", "download.a", "hpack.a", "a.b.c"],
)
def test_undocumented_names_have_no_help(name: str) -> None:
    assert help_text.doc(name) is None
    assert help_text.signature(name) is None


@pytest.mark.parametrize("name", ["", *catalogue.MODULES])
def test_help_of_the_api_and_of_a_module_lists_functions_with_a_summary(name: str, service: sidefx.Service) -> None:
    thing = getattr(service, name) if name else service
    shown = help_of(thing)
    assert str(help_text.doc(name)).splitlines()[0] in shown
    assert "help(service.download" in shown or name != ""
    for full_name, signature in SIGNATURES.items():
        expected = full_name.startswith(f"{name}.") if name else True
        assert (full_name + signature in shown) == expected
        assert (str(help_text.doc(full_name)).splitlines()[2] in shown) == expected
    assert "class APIFunction" not in shown
    assert help_text.signature(name) is None


def test_dir_shows_modules_and_their_functions(service: sidefx.Service) -> None:
    assert set(catalogue.MODULES) <= set(dir(service))
    for module in catalogue.MODULES:
        shown = [name for name in dir(getattr(service, module)) if not name.startswith("_")]
        assert shown == sorted(["function_name", "service", *catalogue.functions(module)])


@pytest.mark.parametrize("name", SIGNATURES)
def test_help_and_inspect_show_signature_and_docstring(name: str, service: sidefx.Service) -> None:
    doc = str(help_text.doc(name))
    assert str(inspect.signature(function(service, name))) == SIGNATURES[name]
    assert inspect.getdoc(function(service, name)) == doc
    shown = help_of(function(service, name))
    assert {line.strip() for line in shown.splitlines()} >= {line.strip() for line in doc.splitlines()}


def test_an_undocumented_function_has_a_plain_signature(service: sidefx.Service) -> None:
    assert list(inspect.signature(service.hpack.anything).parameters) == ["args", "kwargs"]
    assert "hpack.anything" in repr(service.hpack.anything)


def test_help_of_the_service_class_describes_the_class() -> None:
    assert "``service.module.function(*args, **kwargs)``" in str(inspect.getdoc(sidefx.Service))
    assert "close(self)" in help_of(sidefx.Service)
