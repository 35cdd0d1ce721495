"""The README, executed: every block of it runs, or says beside itself why it does not and is listed here."""

from __future__ import annotations

import functools
import logging
import os
import re
import ssl
import subprocess
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import sidefx_client
from sidefx_client import errors
from sidefx_client.testing import LocalServer, Stream
from sidefx_client.transport.adapter import tls_context

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")

# Blocks that are not run, by the section that they are in, with the reason that stands before them.
NOT_RUN = {
    ("Try it", ".ci/run runs the next one, and every example"),
    ("Install", "installs into the reader's environment"),
    ("The local hserver", "needs a running hserver"),
    ("Command line", "it runs until Ctrl-C"),
    ("Development", "the first is the test command, the others need tools that it installs"),
}


class Block(NamedTuple):
    section: str
    language: str
    comment: str  # the HTML comment just before it
    line: int  # of its first line of code
    code: str

    @property
    def not_run(self) -> str | None:
        return self.comment[len("not run: ") :] if self.comment.startswith("not run: ") else None


def blocks_of(text: str) -> Iterator[Block]:
    section = comment = ""
    lines = enumerate(text.splitlines(), 1)
    for number, line in lines:
        if line.startswith("#"):
            section = line.lstrip("# ")
        if line.startswith("```"):
            code = []
            for _, inner in lines:
                if inner == "```":
                    break
                code.append(inner)
            yield Block(section, line[3:], comment, number + 1, "\n".join(code) + "\n")
        found = re.fullmatch("<!-- (.*) -->", line)
        comment = found[1] if found else ""


BLOCKS = list(blocks_of(TEXT))
RUN = [block for block in BLOCKS if not block.not_run and block.comment != "test command"]
TESTS = [block for block in RUN if block.language == "python" and "\ndef test_" in block.code]
# The blocks of one section follow each other: what the first names, the second uses.
SECTIONS = list(dict.fromkeys(block.section for block in RUN if block.language == "python" and block not in TESTS))
SHELL = [block for block in RUN if block.language == "sh"]


@pytest.fixture
def server() -> Iterator[LocalServer]:
    """The local server over TLS, with the functions that the README makes up."""
    with LocalServer(tls=True) as server:
        server.register("scenes.upload", lambda scene, **others: {"size": scene.size, **others})
        server.register("scenes.get_preview", lambda name: Stream(bytes(1000), f"{name}.exr"))
        yield server


@pytest.fixture
def reader(server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reader's directory, where ``sidefx.service()`` finds the local server instead of the real one.

    The credentials come from the environment, as a reader's do; the URLs have no variable, so their defaults change.
    """
    urls: dict[str, Any] = {"access_token_url": server.access_token_url, "endpoint_url": server.endpoint_url}
    monkeypatch.setattr(sidefx_client, "service", functools.partial(sidefx_client.service, **urls))
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    Path("shot.hip").write_bytes(b"HIP")
    Path("studio-ca.pem").write_bytes(Path(str(server.ca_bundle)).read_bytes())
    logger = logging.getLogger("sidefx_client")
    monkeypatch.setattr(logger, "level", logger.level)
    return tmp_path


@pytest.fixture
def houdini(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of Houdini, what the README uses: a function that hands work to the main thread."""
    module = types.ModuleType("hdefereval")
    module.executeDeferred = lambda call, *args: call(*args)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "hdefereval", module)


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.usefixtures("reader", "houdini")
def test_the_python_of_a_section_runs(section: str, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in RUN:
        if block.section == section and block.language == "python" and block not in TESTS:
            code = "\n" * (block.line - 1) + block.code  # so that a traceback shows the README's line
            exec(compile(code, str(README), "exec"), names)  # executing it is the point
    for value in names.values():
        if isinstance(value, threading.Thread):
            value.join(10)
            assert not value.is_alive()
        if isinstance(value, sidefx_client.Service):
            value.close()
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err  # of a thread, say


@pytest.mark.parametrize("block", TESTS, ids=lambda block: f"line {block.line}")
def test_the_tests_in_it_pass(block: Block, tmp_path: Path) -> None:
    (tmp_path / "test_pipeline.py").write_text(block.code, encoding="utf-8")
    # An installed package brings its plugin under this name; a bare checkout does not.
    plugin = ["-p", "no:sidefx_client", "-p", "sidefx_client.testing.pytest_plugin"]
    done = in_a_process([sys.executable, "-m", "pytest", "-q", "-W", "error", *plugin, "test_pipeline.py"], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{block.code.count('def test_')} passed" in done.stdout


@pytest.mark.parametrize("block", SHELL, ids=lambda block: f"{block.section}, line {block.line}")
@pytest.mark.skipif(sys.platform == "win32", reason="the README's shell is bash")
def test_the_commands_in_it_run(block: Block, reader: Path, server: LocalServer) -> None:
    commands = reader / "bin"
    commands.mkdir()
    sesictrl = '[ "$1" = install ] && [ -n "$2" ]'  # of Houdini's tool, what the README uses
    client = f'exec "{sys.executable}" -W error -m sidefx_client "$@"'
    for name, script in {"sesictrl": sesictrl, "sidefx-client": client}.items():
        (commands / name).write_text(f"#!/bin/sh\n{script}\n")
        (commands / name).chmod(0o755)
    path = f"{commands}{os.pathsep}{os.environ['PATH']}"
    done = in_a_process(["bash", "-euo", "pipefail", "-c", block.code], reader, PATH=path)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert server.client_secret not in done.stdout + done.stderr


def in_a_process(command: list[str], directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    package = str(Path(sidefx_client.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": package, **environment}
    return subprocess.run(
        command,
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def test_a_block_that_is_not_run_is_listed_with_its_reason() -> None:
    assert {(block.section, block.not_run) for block in BLOCKS if block.not_run} == NOT_RUN


def test_every_block_is_of_a_kind_that_is_run_or_shown() -> None:
    assert {block.language for block in BLOCKS} == {"python", "sh", "text"}
    assert TEXT.count("```") == 2 * len(BLOCKS)


def test_the_test_command_stands_where_ci_looks_for_it() -> None:
    (command,) = [block.code for block in BLOCKS if block.comment == "test command"]
    assert command.count("\n") == 1
    assert re.match(r"python3 -m venv \.venv && \.venv/bin/pip install .* && \.venv/bin/pytest", command)


def test_every_link_within_the_project_leads_somewhere() -> None:
    headings = re.findall("^#+ (.*)$", re.sub("^```.*?^```", "", TEXT, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    targets = re.findall(r"\]\(([^)]*)\)", TEXT)
    assert len(targets) > 20
    for target in targets:
        if target.startswith("#"):
            assert target[1:] in anchors
        elif not target.startswith("https://"):
            assert (ROOT / target).is_file(), target


def test_the_errors_are_all_in_the_tree_and_in_the_table() -> None:
    names = {
        name for name, value in vars(errors).items() if isinstance(value, type) and value.__module__ == errors.__name__
    }
    tree = next(block.code for block in BLOCKS if block.section == "Errors" and block.language == "text")
    assert names == set(re.findall(r"^[│├└─ ]*(\w+)", tree, re.MULTILINE))
    assert names - {"SideFXError"} <= set(re.findall(r"^\| `(\w+)`", TEXT, re.MULTILINE))


def test_a_promise_of_security_names_tests_that_exist() -> None:
    cases = {case for group in re.findall(r"\[([A-Z]\d+(?:, [A-Z]\d+)*)\]", TEXT) for case in group.split(", ")}
    assert len(cases) >= 10
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "faults").glob("test_*.py"))
    for case in cases:
        assert f"def test_{case}_" in tests


def test_tls_1_2_is_the_floor_and_no_option_turns_verification_off() -> None:
    context = tls_context(verify=True)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_REQUIRED
    options: Any
    for options in ({"verify": False}, {"ca_bundle": False}, {"ca_bundle": ""}):
        with pytest.raises((TypeError, errors.ConfigError)):
            sidefx_client.service("id", "secret", access_token="token", **options)


@pytest.mark.usefixtures("reader")
def test_the_loggers_show_what_it_says_that_they_show(
    server: LocalServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with sidefx_client.service() as service:
        sidefx_client.download_build(service, "houdini", "20.5", platform="linux", directory=tmp_path)
    theirs = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("urllib3"))
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name == "sidefx_client")
    assert "signature=" in theirs
    assert "download.get_daily_build_download (attempt 1): 200 after " in ours
    assert "signature=" not in ours
    assert server.client_secret not in theirs + ours
