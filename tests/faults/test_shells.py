"""S: what shells, debuggers and mocks do to an object must not become a call."""

from __future__ import annotations

import copy
import functools
import inspect
import pickle
import pydoc
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable
from unittest.mock import MagicMock, create_autospec

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from support.case import Case, check_object
from support.scripted import ScriptedServer
from traitlets.config import Config

import sidefx_client as sidefx

make_shell: Any = InteractiveShell  # which has no annotations

PROBES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{f"pickle {number}": functools.partial(pickle.dumps, protocol=number) for number in range(6)},
    "hasattr": lambda thing: [
        hasattr(thing, name) for name in ("_x", "__len__", "__wrapped__", "getdoc", "trait_names")
    ],
    "signature": inspect.signature,
    "unwrap": inspect.unwrap,
    "getdoc": inspect.getdoc,
    "help": pydoc.render_doc,
    "getmembers": lambda thing: len(inspect.getmembers(thing)),  # access_token is among them, as the contract has it
    "predicates": lambda thing: [
        f(thing) for name, f in vars(inspect).items() if name.startswith("is") and callable(f)
    ],
    "dir, str, repr, bool, hash": lambda thing: (dir(thing), str(thing), repr(thing), bool(thing), hash(thing)),
    "equality": lambda thing: thing == object(),
    "iteration": lambda thing: list(thing),
    "len": lambda thing: len(thing),
    "autospec": create_autospec,
}


@pytest.mark.parametrize("probe", PROBES)
def test_S1_no_probe_of_the_standard_library_is_a_call(case: Case, probe: str) -> None:
    with ScriptedServer() as server:
        service = case.service(server)
        for thing in (service, service.download, service.download.get_daily_builds_list, service.things.unknown):
            try:
                result = PROBES[probe](thing)
            except (TypeError, AttributeError, ValueError) as error:
                result = error
            check_object(result)
        assert server.connections == 0


def test_S1_a_service_refuses_to_be_pickled_in_clear_words(case: Case) -> None:
    with ScriptedServer() as server:
        with case.raises(TypeError, match="(?i)pickle"):
            pickle.dumps(case.service(server))


@pytest.mark.parametrize("name", ["_x", "__len__", "__array__", "_repr_html_", "getdoc", "trait_names"])
def test_S1_names_that_only_shells_ask_for_are_no_functions(case: Case, name: str) -> None:
    with ScriptedServer() as server:
        with pytest.raises(AttributeError):
            getattr(case.service(server), name)
        with pytest.raises(AttributeError):
            getattr(case.service(server).download, name)


def test_S1_a_service_is_no_mapping(case: Case) -> None:
    with ScriptedServer() as server:
        with case.raises(TypeError, match="keys"):
            dict(case.service(server))
        assert server.connections == 0


def test_S1_an_object_that_was_never_made_is_no_endless_recursion() -> None:
    empty = object.__new__(sidefx.Service)
    assert not hasattr(empty, "_client")
    assert repr(empty)


@pytest.fixture
def shell(case: Case) -> Iterator[tuple[Any, ScriptedServer]]:
    """A shell in which `s` is a service."""
    config = Config({"HistoryManager": {"enabled": False}})
    with ScriptedServer() as server:
        shell = make_shell(config=config, ipython_dir=str(case.directory))
        shell.push({"s": case.service(server)})
        yield shell, server
        shell.restore_sys_module_state()
    for home in (case.directory, Path.home()):  # where IPython and jedi keep things
        case.declared.update(path for path in home.rglob("*") if path.is_file())


@pytest.mark.parametrize("line", ["s?", "s??", "s.download?", "s.download.get_daily_builds_list?", "s.x.y?", "s"])
def test_S1_the_questions_of_ipython_are_no_calls(shell: tuple[Any, ScriptedServer], line: str) -> None:
    assert shell[0].run_cell(line).success
    assert shell[1].connections == 0


@pytest.mark.parametrize("text", ["s.", "s.down", "s.download.", "s.things.", "s.download.get_daily_builds_list("])
def test_S1_the_completions_of_ipython_are_no_calls(shell: tuple[Any, ScriptedServer], text: str) -> None:
    with provisionalcompleter():
        offered = {completion.text for completion in shell[0].Completer.completions(text, len(text))}
    assert shell[1].connections == 0
    if text in ("s.", "s.down"):
        assert "download" in {name.lstrip(".") for name in offered}


def test_S1_mocks_take_the_service_as_their_model(case: Case, connects: list[Any]) -> None:
    mock = MagicMock(spec=sidefx.Service)
    assert isinstance(mock, sidefx.Service)
    assert isinstance(MagicMock(spec=sidefx._Service), sidefx.Service)
    assert isinstance(create_autospec(sidefx.Service, instance=True), sidefx.Service)
    with pytest.raises(TypeError):
        create_autospec(sidefx.service)(no_such_option=1)
    assert connects == []
