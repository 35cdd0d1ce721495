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

FUNCTIONS = list(catalogue.FUNCTIONS)


@pytest.fixture
def service(connects: list[Any]) -> Iterator[sidefx.Service]:
    """Return a service without a server, and check that help sends no request."""
    yield sidefx.Service("http://127.0.0.1:1/api", "", None)
    assert connects == []


def help_of(thing: object) -> str:
    return pydoc.plain(pydoc.render_doc(thing))


def test_help_and_inspect_show_the_signature_as_in_its_source(service: sidefx.Service) -> None:
    signature = (
        "(product: 'str', version: 'str | Sequence[str] | None' = None, platform: 'str | None' = None, "
        "only_production: 'bool' = False) -> 'list[DailyBuild]'"
    )
    function = service.download.get_daily_builds_list
    assert str(inspect.signature(function)) == signature
    assert f"download.get_daily_builds_list{signature}" in help_of(function)
    assert str(help_text.signature("bugs.get_submission_options")) == "() -> 'SubmissionOptions'"
    assert list(inspect.signature(service.hpack.anything).parameters) == ["args", "kwargs"]
    assert "``service.module.function(*args, **kwargs)``" in str(inspect.getdoc(sidefx.Service))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_help_names_every_parameter_every_field_and_the_vendors_page(name: str, service: sidefx.Service) -> None:
    signature = help_text.signature(name)
    assert signature is not None
    head, _, text = str(help_text.doc(name)).partition("\n\n")
    assert head == f"{name}{signature}"
    words = set(re.findall(r"\w+", text))
    result = getattr(catalogue, signature.return_annotation.replace("list[", "").rstrip("]"), None)
    assert words >= {*signature.parameters, *getattr(result, "__annotations__", {})}
    assert "From https://www.sidefx.com/docs/api/" in text
    assert max(map(len, text.splitlines())) < 120
    module, _, last = name.partition(".")
    function = getattr(getattr(service, module), last)
    assert inspect.getdoc(function) == help_text.doc(name)
    assert {line.strip() for line in help_of(function).splitlines()} >= {line.strip() for line in text.splitlines()}


def test_undocumented_names_have_no_help() -> None:
    for name in ("get_daily_builds_list", "download.", "download.__init__", "hpack.a", "a.b.c"):
        assert (help_text.doc(name), help_text.signature(name)) == (None, None)


@pytest.mark.parametrize("name", ["", *catalogue.MODULES])
def test_help_of_the_api_and_of_a_module_lists_functions_with_a_summary(name: str, service: sidefx.Service) -> None:
    thing = getattr(service, name) if name else service
    shown = help_of(thing)
    assert str(help_text.doc(name)).splitlines()[0] in shown
    assert "help(service.download" in shown or name != ""
    for function in FUNCTIONS:
        heading, _, summary = str(help_text.doc(function)).splitlines()[:3]
        expected = function.startswith(f"{name}.") if name else True
        assert (heading in shown, summary in shown) == (expected, expected)
    assert "class APIFunction" not in shown
    assert help_text.signature(name) is None


def test_dir_shows_modules_and_their_functions(service: sidefx.Service) -> None:
    assert set(catalogue.MODULES) <= set(dir(service))
    for module in (*catalogue.MODULES, "hpack"):
        shown = [name for name in dir(getattr(service, module)) if not name.startswith("_")]
        assert shown == sorted(["function_name", "service", *catalogue.functions(module)])
    assert catalogue.functions("hpack") == []
