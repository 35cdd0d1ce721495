"""The README and the other documents: every block is executed, or the comment before it says why it is not."""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

import sidefx_client
from sidefx_client import errors, retry
from sidefx_client.errors import logger
from sidefx_client.testing import LocalServer, Stream
from sidefx_client.transport.adapter import tls_context

ROOT = Path(__file__).parents[2]
GITHUB = (".github/CHANGELOG.md", ".github/CONTRIBUTING.md", ".github/SECURITY.md")
DOCUMENTS = ("README.md", "examples/README.md", "tests/README.md", *GITHUB)
TEXTS = {name: (ROOT / name).read_text(encoding="utf-8") for name in DOCUMENTS}
README = TEXTS["README.md"]


class Block(NamedTuple):
    document: str
    section: str
    language: str
    comment: str  # the HTML comment before it
    line: int  # of its first line of code
    code: str

    def __str__(self) -> str:
        return f"{self.document}, line {self.line}"


def blocks_of(document: str) -> Iterator[Block]:
    text = TEXTS[document]
    for found in re.finditer(r"(?:^<!-- ([^\n]*) -->\n)?^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        before = text[: found.start(3)]
        section = re.findall("^##+ (.*)$", before, re.MULTILINE)[-1:]
        yield Block(document, "".join(section), found[2], found[1] or "", before.count("\n") + 1, found[3])


BLOCKS = [block for document in DOCUMENTS for block in blocks_of(document)]
RUN = [block for block in BLOCKS if not block.comment.startswith("not run: ") and block.comment != "test command"]
TESTS = [block for block in RUN if block.language == "python" and "\ndef test_" in block.code]
PYTHON = [block for block in RUN if block.language == "python" and block not in TESTS]
# The blocks of a section share their names.
SECTIONS = list(dict.fromkeys((block.document, block.section) for block in PYTHON))
SHELL = [block for block in RUN if block.language in ("sh", "yaml")]


@pytest.fixture
def server() -> Iterator[LocalServer]:
    """The local server over TLS, with the functions that the documents make up."""
    with LocalServer(tls=True) as server:
        server.register("scenes.upload", lambda scene, **others: {"size": scene.size, **others})
        server.register("scenes.get_preview", lambda name: Stream(bytes(1000), f"{name}.exr"))
        yield server


@pytest.fixture
def reader(server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reader's directory. The environment selects the local server."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    Path("shot.hip").write_bytes(b"HIP")
    Path("studio-ca.pem").write_bytes(Path(str(server.ca_bundle)).read_bytes())
    monkeypatch.setattr(logger, "level", logger.level)
    return tmp_path


@pytest.mark.parametrize(("document", "section"), SECTIONS)
@pytest.mark.usefixtures("reader")
def test_the_python_of_a_section_runs(
    document: str, section: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Stand-ins for the modules of Houdini and Blender.
    timers: list[Callable[[], float | None]] = []
    app = SimpleNamespace(timers=SimpleNamespace(register=timers.append))
    monkeypatch.setitem(sys.modules, "bpy", SimpleNamespace(app=app))
    houdini = SimpleNamespace(executeDeferred=lambda call, *args: call(*args))
    monkeypatch.setitem(sys.modules, "hdefereval", houdini)
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in PYTHON:
        if (block.document, block.section) == (document, section):
            code = "\n" * (block.line - 1) + block.code  # so that a traceback shows the document's line
            exec(compile(code, document, "exec"), names)
    for thread in (value for value in names.values() if isinstance(value, threading.Thread)):
        thread.join(10)
        assert not thread.is_alive()
    assert [timer() for timer in timers] == [None] * len(timers)
    for service in (value for value in names.values() if isinstance(value, sidefx_client.Service)):
        service.close()
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err  # of a thread
    assert "SideFX: " not in captured.out  # an error of a thread


@pytest.mark.parametrize("block", TESTS, ids=str)
def test_the_tests_in_a_document_pass(block: Block, tmp_path: Path) -> None:
    (tmp_path / "test_pipeline.py").write_text(block.code, encoding="utf-8")
    # An installed package has its plugin under this name, a bare checkout has not.
    plugin = ["-p", "no:sidefx_client", "-p", "sidefx_client.testing.pytest_plugin"]
    done = run([sys.executable, "-m", "pytest", "-q", "-W", "error", *plugin, "test_pipeline.py"], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{block.code.count('def test_')} passed" in done.stdout


@pytest.mark.parametrize("block", SHELL, ids=str)
@pytest.mark.skipif(sys.platform == "win32", reason="the documents' shell is bash")
def test_the_commands_in_a_document_run(block: Block, reader: Path, server: LocalServer) -> None:
    commands = reader / "bin"
    commands.mkdir()
    ours = f'exec "{sys.executable}" -W error -m sidefx_client "$@"'
    stubs = {"sesictrl": '[ "$1" = install ] && [ -n "$2" ]', "pip": '[ "$1" = install ]', "sidefx-client": ours}
    for name, script in stubs.items():
        (commands / name).write_text(f"#!/bin/sh\n{script}\n")
        (commands / name).chmod(0o755)
    path = f"{commands}{os.pathsep}{os.environ['PATH']}"
    (outputs := reader / "outputs").touch()
    for script in [block.code] if block.language == "sh" else workflow_steps(block.code):
        for name, value in re.findall("^(.+?)=(.*)$", outputs.read_text(), re.MULTILINE):
            script = script.replace(f"${{{{ steps.newest.outputs.{name} }}}}", value)
        done = run(["bash", "-euo", "pipefail", "-c", script], reader, PATH=path, GITHUB_OUTPUT=str(outputs))
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        assert server.client_secret not in done.stdout + done.stderr


def workflow_steps(workflow: str) -> list[str]:
    """Return the scripts of a GitHub Actions workflow in their order."""
    steps = re.findall(r"^ *(?:- )?run: (?:\|\n((?: {10}.*\n)+)|(.*\n))", workflow, re.MULTILINE)
    assert len(steps) == workflow.count("run: ")
    return [block or line for block, line in steps]


def run(command: list[str], directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(sidefx_client.__file__).parents[1]), **environment}
    options: Any = {"cwd": directory, "env": environment, "capture_output": True, "encoding": "utf-8"}
    return subprocess.run(command, timeout=120, **options)


def test_every_block_is_found_and_has_a_known_language() -> None:
    assert {block.language for block in BLOCKS} == {"python", "sh", "text", "yaml"}
    assert sum(text.count("```") for text in TEXTS.values()) == 2 * len(BLOCKS)


def test_the_readme_fits_in_350_lines_and_has_the_test_command_for_ci() -> None:
    assert len(README.splitlines()) <= 350
    (command,) = [block.code for block in BLOCKS if block.comment == "test command"]
    assert command.count("\n") == 1
    assert re.match(r"python3 -m venv \.venv && \.venv/bin/pip install .* && \.venv/bin/pytest", command)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_within_the_project_work(document: str) -> None:
    for target in re.findall(r"\]\(([^)]*)\)", TEXTS[document]):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        linked = (ROOT / document).parent / path if path else ROOT / document
        assert linked.exists(), target
        if anchor:
            text = re.sub("^```.*?^```", "", linked.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
            headings = re.findall("^#+ (.*)$", text, re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in anchors, target


def test_the_shown_output_of_an_example_is_real(tmp_path: Path) -> None:
    (block,) = [block for block in BLOCKS if block.comment.startswith("output of ")]
    command = [sys.executable, str(ROOT / "examples" / block.comment[len("output of ") :])]

    def same_everywhere(output: str) -> str:
        output = re.sub(r"\s+\d+ of \d+ MiB", "", output)
        return re.sub(r"127\.0\.0\.1:\d+|(?<=20\.5\.583-)\S+,", "...", output)

    shown = run(command, tmp_path).stdout
    assert same_everywhere(shown) == same_everywhere(block.code)


def test_all_errors_are_in_the_tree_and_in_the_table() -> None:
    values = vars(errors).items()
    names = {name for name, value in values if isinstance(value, type) and value.__module__ == errors.__name__}
    tree = next(block.code for block in BLOCKS if block.section == "Errors" and block.language == "text")
    assert names == set(re.findall(r"^[│├└─ ]*(\w+)", tree, re.MULTILINE))
    assert names - {"SideFXError"} <= set(re.findall(r"^\| `(\w+)`", README, re.MULTILINE))


def test_texts_name_the_longest_wait_of_a_retry() -> None:
    for text in (README, Path(errors.__file__).read_text(encoding="utf-8")):
        named = set(re.findall(r"(?:up\s+to|over|more than) (\d+) s\b", text))
        assert named == {f"{retry.MAX_RETRY_AFTER:.0f}"}


def test_fault_table_names_the_files_of_all_numbered_tests() -> None:
    rows = dict(re.findall(r"^\| ([NHACUDSLW]\d+) \| .* \| ([^|]*) \|$", TEXTS["tests/README.md"], re.MULTILINE))
    assert len(rows) == 92
    files: dict[str, set[str]] = {number: set() for number in rows}
    for path in (ROOT / "tests").rglob("test_*.py"):
        for number in re.findall(r"^def test_([NHACUDSLW]\d+)_", path.read_text(encoding="utf-8"), re.MULTILINE):
            files[number].add(path.relative_to(ROOT / "tests").as_posix())
    assert {n: found for n, found in files.items() if found and ", ".join(sorted(found)) != rows[n]} == {}


def test_statements_of_security_name_existing_tests() -> None:
    text = TEXTS[".github/SECURITY.md"]
    cases = set(re.findall(r"[NHACUDSLW]\d+", "".join(re.findall(r"\[([A-Z]\d+(?:, [A-Z]\d+)*)\]", text))))
    assert len(cases) >= 10
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "faults").glob("test_*.py"))
    assert cases <= set(re.findall(r"def test_([A-Z]\d+)_", tests))


def test_tls_1_2_is_the_minimum_and_options_cannot_turn_verification_off() -> None:
    context = tls_context(verify=True)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_REQUIRED
    options: Any
    for options in ({"verify": False}, {"ca_bundle": False}, {"ca_bundle": ""}):
        with pytest.raises((TypeError, errors.ConfigError)):
            sidefx_client.service("id", "secret", access_token="token", **options)
