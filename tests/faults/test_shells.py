"""S: shells, debuggers, copiers and mocks that probe an object must not cause a request."""

from __future__ import annotations

import copy
import inspect
import pickle
import pydoc
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable
from unittest.mock import MagicMock, create_autospec

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from support.case import Case, check_object, check_text
from support.scripted import ScriptedServer
from traitlets.config import Config

import sidefx_client as sidefx

make_shell: Any = InteractiveShell  # has no annotations

PROBES: dict[str, Callable[[Any], Any]] = {
    "signature": inspect.signature,
    "unwrap": inspect.unwrap,
    "getdoc": inspect.getdoc,
    "help": pydoc.render_doc,
    "getmembers": lambda thing: len(inspect.getmembers(thing)),
    "predicates": lambda thing: [
        f(thing) for name, f in vars(inspect).items() if name.startswith("is") and callable(f)
    ],
    "dir, str, repr, bool, hash": lambda thing: (dir(thing), str(thing), repr(thing), bool(thing), hash(thing)),
    "equality": lambda thing: thing == object(),
    "iteration": lambda thing: list(thing),
    "len": lambda thing: len(thing),
    "autospec": create_autospec,
}


@pytest.fixture
def service(case: Case, connects: list[Any]) -> Iterator[Any]:
    """Return a service, and check that the test opened no connection."""
    with ScriptedServer() as server:
        yield case.service(server)
        assert connects == []


def things_of(service: Any) -> tuple[Any, ...]:
    return service, service.download, service.download.get_daily_builds_list, service.things.unknown


@pytest.mark.parametrize("probe", PROBES)
def test_S1_probes_of_the_standard_library_do_not_send_a_request(service: Any, probe: str) -> None:
    for thing in things_of(service):
        try:
            result = PROBES[probe](thing)
        except (TypeError, AttributeError, ValueError) as error:
            result = error
        check_object(result)


def test_S1_pickling_a_service_or_function_raises_type_error(case: Case, service: Any) -> None:
    for thing in things_of(service):
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            with case.raises(TypeError, match="it cannot be pickled"):
                pickle.dumps(thing, protocol)


@pytest.mark.parametrize(
    "name",
    ["_x", "__wrapped__", "__len__", "__array__", "_repr_html_", "_ipython_display_", "getdoc", "trait_names"],
)
def test_S1_names_that_shells_probe_raise_attribute_error(service: Any, name: str) -> None:
    for thing in things_of(service):
        if not hasattr(type(thing), name):
            with pytest.raises(AttributeError, match=name):
                getattr(thing, name)


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (dict, "sidefx_client.call(service, 'keys')"),
        (lambda service: service.download_build("houdini"), "use sidefx_client.download_build(service"),
        (lambda service: service.download_file("https://a.b/c"), "use sidefx_client.download_file(url"),
        (lambda service: service.call("a.b"), "use sidefx_client.call(service"),
    ],
)
def test_S1_calling_a_module_or_a_function_of_the_package_raises_type_error(
    case: Case, service: Any, mistake: Any, words: str
) -> None:
    with case.raises(TypeError, match=re.escape(words)):
        mistake(service)


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy])
def test_S1_copy_of_a_service_is_the_same_service(service: Any, how: Callable[[Any], Any]) -> None:
    assert how(service) is service
    assert copy.deepcopy({"key": [service]})["key"][0] is service
    function = how(service.download.get_daily_builds_list)
    assert (function.function_name, function.service) == ("download.get_daily_builds_list", service)


def test_S1_only_documented_attributes_of_a_service_are_ours(service: Any) -> None:
    ours = {"access_token", "access_token_expiry_time", "close", "endpoint_url", "timeout"}
    assert {name for name in dir(sidefx.Service) if not name.startswith("_")} == ours
    for name in ("call", "name", "args", "session", "token", "client", "keys", "items", "retries"):
        assert isinstance(getattr(service, name), sidefx.APIFunction)


def test_S1_object_without_init_does_not_recurse() -> None:
    for kind in (sidefx.Service, sidefx.APIFunction):
        assert not hasattr(object.__new__(kind), "_client")
    assert repr(object.__new__(sidefx.Service))
    with pytest.raises(AttributeError):
        repr(object.__new__(sidefx.APIFunction))


@pytest.fixture
def shell(case: Case, service: Any) -> Iterator[Any]:
    """Return an IPython shell with a service as `s`."""
    shell = make_shell(config=Config({"HistoryManager": {"enabled": False}}), ipython_dir=str(case.directory))
    shell.push({"s": service})
    yield shell
    shell.restore_sys_module_state()
    for home in (case.directory, Path.home()):  # files of IPython and jedi
        case.declared.update(path for path in home.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("s?", "Any names, to any depth, go to the server"),
        ("s??", "class Service"),
        ("s.download?", "A function of the API, or a family of them"),
        ("s.download.get_daily_builds_list?", "only_production"),
        ("s.x.y?", "<SideFX API function x.y>"),
        ("s", "<SideFX service at http://127.0.0.1:"),
    ],
)
def test_S1_ipython_help_shows_the_docstring_without_a_request(
    shell: Any, line: str, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert shell.run_cell(line).success
    shown = re.sub(r"\x1b\[[\d;]*m", "", capfd.readouterr().out)  # without the colors
    assert words in shown
    check_text(shown, "the help")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s.down", {"download"}),
        ("s.bugs.", {"get_submission_options", "submit_issue"}),
        ("s.things.", set()),
        ("s.", None),
        ("s.download.get_daily_builds_list(", None),
    ],
)
def test_S1_ipython_completes_documented_names_without_a_request(
    shell: Any, text: str, expected: set[str] | None
) -> None:
    with provisionalcompleter():
        names = {completion.text.lstrip(".") for completion in shell.Completer.completions(text, len(text))}
    public = {name for name in names if not name.startswith("_")} - {"function_name", "service"}
    assert expected is None or public == expected


def test_S1_service_can_be_the_spec_of_a_mock(service: Any) -> None:
    for mock in (
        MagicMock(spec=sidefx.Service),
        MagicMock(spec=sidefx._Service),
        create_autospec(sidefx.Service, instance=True),
        create_autospec(service),
    ):
        assert isinstance(mock, sidefx.Service)
        mock.close()
        assert mock.method_calls
    mock = create_autospec(sidefx.service)
    mock(client_id="a", client_secret_key="b")
    with pytest.raises(TypeError):
        mock(no_such_option=1)
