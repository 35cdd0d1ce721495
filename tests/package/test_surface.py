"""The public names, the order of imports inside the package, and the side effects of an import."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import sidefx_client as sidefx
from sidefx_client.testing import LocalServer

PACKAGE = Path(sidefx.__file__).parent
ROOT = PACKAGE.parent
MODULES = sorted(PACKAGE.rglob("*.py"))


PUBLIC = {
    "APIError", "APIFunction", "AuthorizationError", "CallTimeout", "ChecksumError", "ConfigError", "DEFAULT_TIMEOUT",
    "DownloadError", "File", "RateLimitError", "ResponseFile", "Service", "SideFXError", "TransportError",
    "_APIFunction", "_Service", "__version__", "_extract_traceback_from_response", "call", "call_api_with_access_token",
    "download_build", "download_file", "get_access_token_and_expiry_time", "service",
}  # fmt: skip

# A module imports only from the rows above its own.
ROOMS = (
    "version secret progress atomic documented", "errors connection", "names urls retry multipart",
    "failures adapter", "response session", "files", "wire", "auth", "credentials", "client", "proxy", "downloads",
    "reference", "__init__", "testing", "cli", "__main__",
)  # fmt: skip
WINGS = ("transport",)  # packages with a row for each module; other packages have one row
ROW = {room: row for row, rooms in enumerate(ROOMS) for room in rooms.split()}


def test_public_names() -> None:
    assert sorted(sidefx.__all__) == sorted(PUBLIC)
    namespace: dict[str, Any] = {}
    exec("from sidefx_client import *", namespace)
    assert set(namespace) - {"__builtins__"} == PUBLIC
    values = [name for name, value in vars(sidefx).items() if not isinstance(value, ModuleType)]
    assert {name for name in values if not name.startswith("_")} == {name for name in PUBLIC if name[0] != "_"}
    for name in PUBLIC - {"DEFAULT_TIMEOUT", "__version__"}:
        assert getattr(sidefx, name).__doc__, name


def test_imports_go_one_way_and_every_module_has_its_row() -> None:
    assert {room_of(path) for path in MODULES} == set(ROW)
    imports = [(room_of(path), room) for path in MODULES for room in imported_rooms(path)]
    assert [(importer, room) for importer, room in imports if ROW[room] >= ROW[importer]] == []


def room_of(path: Path) -> str:
    """Return the name under which ROOMS lists the module: its own, or its package's."""
    first, *rest = path.relative_to(PACKAGE).with_suffix("").parts
    return rest[0] if first in WINGS else first


def imported_rooms(path: Path) -> set[str]:
    """Return the rooms that a module imports anywhere, except its own. Imports for type checkers do not count."""
    found = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    guards = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
    for_types = {child for guard in guards for child in ast.walk(guard)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level and node not in for_types:
            target = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            modules = [target / alias.name for alias in node.names] if target.is_dir() else [target]
            found |= {room_of(module.with_suffix(".py")) for module in modules}
    return found - {room_of(path)}


def test_local_server_imports_the_client_only_to_make_a_service() -> None:
    pattern = re.compile(r"^ *(?:from|import) (?:sidefx_client|\.\.)", re.MULTILINE)
    texts = {path.stem: path.read_text(encoding="utf-8") for path in (PACKAGE / "testing").glob("*.py")}
    users = {name: len(pattern.findall(text)) for name, text in texts.items() if pattern.search(text)}
    assert users == {"server": 3}  # one for type checkers, two in service()


IMPORTING = """
import sys
import requests, email.message, html, logging, secrets, netrc, unicodedata

opened = []

def watch(event, args):
    if event == "open":
        opened.append(str(args[0]))
    elif event.startswith(("socket.", "subprocess.", "os.exec", "os.fork", "os.mkdir", "os.remove", "os.rename")):
        opened.append(event)

sys.addaudithook(watch)
import sidefx_client
unexpected = [path for path in opened if not path.endswith((".py", ".pyc", ".so", ".pyd"))]
assert not unexpected, unexpected
loaded = {name.partition(".")[0] for name in sys.modules}
extras = loaded & {"werkzeug", "cheroot", "trustme", "rich", "platformdirs", "pytest", "tqdm"}
assert not extras, extras
"""


def test_import_has_no_side_effects_and_loads_no_extra(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine www.sidefx.com login a password b\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "SIDEFX_CLIENT_ID": "a"}
    command = [sys.executable, "-W", "error", "-c", IMPORTING]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_docstring_of_the_package_names_every_module_and_the_files_that_a_call_passes() -> None:
    text = sidefx.__doc__ or ""
    listed = set(re.findall(r"\b[a-z_]+\b", text.partition("in reading order:")[2]))
    assert listed >= set(ROW) - {"__init__", "__main__"}
    passed: set[str] = set()

    def profile(frame: FrameType, event: str, argument: object) -> None:
        path = Path(frame.f_code.co_filename)
        if PACKAGE in path.parents and PACKAGE / "testing" not in path.parents:
            passed.add(path.stem)

    with LocalServer() as server, server.service() as service:
        service.bugs.get_submission_options()  # the first call also looks up settings and connects
        sys.setprofile(profile)
        try:
            service.bugs.get_submission_options()
        finally:
            sys.setprofile(None)
    named = re.findall(r"``([a-z_]+)``", text.partition("A call passes")[2].partition("The files")[0])
    assert set(named) == passed
    assert len(passed) <= 10
