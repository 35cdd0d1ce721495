"""The proxy: any name is a function of the server, and no shell, mock or copier makes a request by asking."""

from __future__ import annotations

import copy
import inspect
import pickle
import pydoc
import re
from collections.abc import Iterator
from typing import Any, Callable
from unittest.mock import MagicMock, create_autospec

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import sidefx_client as sidefx

SHELL: Any = InteractiveShell  # it has no types
OURS = {"access_token", "access_token_expiry_time", "close", "endpoint_url", "timeout"}
MODULES = {"bugs", "changelog", "download", "license"}
NO_FUNCTIONS = [
    "_x",
    "__wrapped__",
    "__len__",
    "__array__",
    "_repr_html_",
    "_ipython_display_",
    "getdoc",
    "trait_names",
]


@pytest.fixture
def service(connects: list[Any]) -> Iterator[Any]:
    """A service that nobody answers; whatever the test does with it, nothing may be sent."""
    with sidefx.Service("http://127.0.0.1:1/api", "secret", None) as service:
        yield service
    assert connects == []


@pytest.fixture(params=["service", "a family", "a documented function", "any function"])
def thing(service: Any, request: pytest.FixtureRequest) -> Any:
    """Each kind of object that scripts have in their hands."""
    return {
        "service": service,
        "a family": service.download,
        "a documented function": service.download.get_daily_builds_list,
        "any function": service.hpack.upload_chunk,
    }[request.param]


# Names


def test_an_attribute_is_a_function_with_a_longer_name(service: Any) -> None:
    function = service.a.b.c
    assert isinstance(function, sidefx.APIFunction)
    assert function.function_name == "a.b.c"
    assert function.service is service


@pytest.mark.parametrize("name", NO_FUNCTIONS)
def test_what_only_shells_and_copiers_ask_for_is_no_function(thing: Any, name: str) -> None:
    if not hasattr(type(thing), name):
        assert not hasattr(thing, name)
        with pytest.raises(AttributeError, match=name):
            getattr(thing, name)


def test_only_the_documented_names_are_not_the_servers(service: Any) -> None:
    public = {name for name in dir(service) if not name.startswith("_")}
    assert public == OURS | MODULES
    assert {name for name in vars(sidefx.Service) if not name.startswith("_")} == OURS
    for name in ("call", "name", "args", "session", "token", "client", "keys", "items", "retries"):
        assert isinstance(getattr(service, name), sidefx.APIFunction)


def test_of_a_family_dir_shows_what_is_documented(service: Any) -> None:
    public = {name for name in dir(service.bugs) if not name.startswith("_")}
    assert public == {"function_name", "service", "get_submission_options", "submit_issue"}


# What is not a call


def test_a_one_part_name_is_no_call(service: Any) -> None:
    with pytest.raises(TypeError, match=r"sidefx_client\.call\(service, 'pull_cookies'\)"):
        service.pull_cookies()


@pytest.mark.parametrize("use", [dict, list, tuple, len, iter, int, float, bytes, abs, lambda thing: thing[0]])
def test_a_service_is_no_container_and_no_number(service: Any, use: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError):
        use(service)


def test_a_service_cannot_be_called(service: Any) -> None:
    with pytest.raises(TypeError, match="not callable"):
        service()


def test_things_are_true_hashable_and_themselves(thing: Any) -> None:
    assert thing
    assert thing == thing
    assert thing != "secret"
    assert {thing: 1}[thing] == 1


# repr, copy, pickle


def test_a_repr_says_what_it_is_and_holds_no_secret(service: Any) -> None:
    assert repr(service) == str(service) == "<SideFX service at http://127.0.0.1:1/api>"
    assert repr(service.a.b) == "<SideFX API function a.b>"


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy])
def test_a_copy_of_a_service_is_the_service(service: Any, how: Callable[[Any], Any]) -> None:
    assert how(service) is service
    assert how({"key": [service]})["key"][0] is service
    function = how(service.download.get_daily_builds_list)
    assert (function.function_name, function.service) == ("download.get_daily_builds_list", service)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_nothing_that_holds_a_token_can_be_pickled(thing: Any, protocol: int) -> None:
    with pytest.raises(TypeError, match="it cannot be pickled"):
        pickle.dumps(thing, protocol)


def test_an_object_that_was_never_made_is_no_endless_recursion() -> None:
    for kind in (sidefx.Service, sidefx.APIFunction):
        assert not hasattr(object.__new__(kind), "_client")


# inspect and help


def test_inspect_has_its_answers_without_a_call(thing: Any) -> None:
    assert inspect.unwrap(thing) is thing
    assert inspect.getdoc(thing)
    assert not inspect.isawaitable(thing)
    assert not inspect.isabstract(thing)
    assert not inspect.isgenerator(thing)
    assert inspect.getmembers(thing)
    assert pydoc.render_doc(thing)
    for predicate in (value for name, value in vars(inspect).items() if name.startswith("is") and callable(value)):
        predicate(thing)


def test_a_documented_function_has_its_signature_and_any_other_takes_anything(service: Any) -> None:
    documented = inspect.signature(service.download.get_daily_builds_list)
    assert list(documented.parameters) == ["product", "version", "platform", "only_production"]
    assert str(inspect.signature(service.a.b)).startswith("(*args")


# IPython


@pytest.fixture
def shell(service: Any) -> Iterator[Any]:
    """The real thing, with the service as ``s``."""
    shell = SHELL(config=Config({"HistoryManager": {"enabled": False}}))
    shell.push({"s": service})
    yield shell
    shell.restore_sys_module_state()


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("s?", "Any names, to any depth, go to the server"),
        ("s??", "class Service"),
        ("s.download?", "A function of the API, or a family of them"),
        ("s.download.get_daily_builds_list?", "only_production"),
        ("s.a.b?", "SideFX API function a.b"),
        ("s.a.b", "SideFX API function a.b"),
    ],
)
def test_ipythons_questions_are_answered(
    shell: Any, question: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shell.run_cell(question).success
    assert words in re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out)  # without the colours


@pytest.mark.parametrize(
    ("text", "offered"),
    [("s.down", {"download"}), ("s.bugs.", {"get_submission_options", "submit_issue"}), ("s.a.b.", set())],
)
def test_ipythons_completer_offers_what_is_documented(shell: Any, text: str, offered: set[str]) -> None:
    with provisionalcompleter():
        found = {completion.text.lstrip(".") for completion in shell.Completer.completions(text, len(text))}
    public = {name for name in found if not name.startswith("_")} - {"function_name", "service"}
    assert public == offered


# Mocks


def test_mocks_take_a_service_for_their_model(service: Any) -> None:
    for mock in (
        MagicMock(spec=sidefx._Service),
        MagicMock(spec=service),
        create_autospec(sidefx.Service, instance=True),
        create_autospec(service),
    ):
        assert isinstance(mock, sidefx.Service)
        mock.close()
        assert mock.method_calls


def test_a_mock_of_service_knows_its_parameters() -> None:
    mock = create_autospec(sidefx.service)
    mock(client_id="a", client_secret_key="b")
    with pytest.raises(TypeError):
        mock(no_such_option=1)
