"""Tests of Service and APIFunction: attributes, repr, copy and signatures. For shells and mocks see S1."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from typing import Any, Callable

import pytest

import sidefx_client as sidefx

OURS = {"access_token", "access_token_expiry_time", "close", "endpoint_url", "timeout"}
MODULES = {"bugs", "changelog", "download", "license"}


@pytest.fixture
def service(connects: list[Any]) -> Iterator[Any]:
    """Yield a service without a server, and check that it did not connect."""
    with sidefx.Service("http://127.0.0.1:1/api", "secret", None) as service:
        yield service
    assert connects == []


def test_only_documented_attributes_are_ours(service: Any) -> None:
    public = {name for name in dir(service) if not name.startswith("_")}
    assert public == OURS | MODULES
    assert {name for name in dir(sidefx.Service) if not name.startswith("_")} == OURS
    for name in ("call", "name", "args", "session", "token", "client", "keys", "items", "retries"):
        assert isinstance(getattr(service, name), sidefx.APIFunction)


def test_dir_of_a_module_lists_documented_functions(service: Any) -> None:
    public = {name for name in dir(service.bugs) if not name.startswith("_")}
    assert public == {"function_name", "service", "get_submission_options", "submit_issue"}


def test_calling_a_one_part_name_raises_type_error(service: Any) -> None:
    with pytest.raises(TypeError, match=r"sidefx_client\.call\(service, 'pull_cookies'\)"):
        service.pull_cookies()


def test_repr_shows_the_url_or_the_function(service: Any) -> None:
    assert repr(service) == str(service) == "<SideFX service at http://127.0.0.1:1/api>"
    assert repr(service.a.b) == "<SideFX API function a.b>"


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy])
def test_copy_of_a_service_is_the_same_service(service: Any, how: Callable[[Any], Any]) -> None:
    assert how(service) is service
    assert how({"key": [service]})["key"][0] is service
    function = how(service.download.get_daily_builds_list)
    assert (function.function_name, function.service) == ("download.get_daily_builds_list", service)


def test_documented_functions_have_their_signature(service: Any) -> None:
    documented = inspect.signature(service.download.get_daily_builds_list)
    assert list(documented.parameters) == ["product", "version", "platform", "only_production"]
    assert str(inspect.signature(service.a.b)).startswith("(*args")
