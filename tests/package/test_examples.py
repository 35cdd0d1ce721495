"""Every program in examples/, run as a user runs it: in a process of its own, without credentials."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import sidefx_client

EXAMPLES = Path(__file__).parents[2] / "examples"
NEEDED = ("PATH", "SYSTEMROOT", "TEMP", "TMP", "COVERAGE_PROCESS_START")

# Command lines, and patterns of their output in this order. The output of quickstart.py is checked in test_readme.py.
RUNS: dict[str, list[str]] = {
    "newest_good_build.py --local --platform linux": [r"houdini-22\.0\.436-linux_x86_64_gcc14\.2\.tar\.gz\n$"],
    # 99 is the newest number as text, 1002 is the newest number but bad.
    "newest_good_build.py 20.5 --local --platform linux": [r"houdini-20\.5\.601-linux"],
    "newest_good_build.py 20.5 --local --platform linux --production": [r"houdini-20\.5\.583-linux"],
    "newest_good_build.py 20.0 --local --platform linux_x86_64_gcc9.3": [r"20\.0\.1007-.*gcc9\.3\.tar"],
    "renew_license.py --local": [r"^SERVER my-server 0123abcd \S+\nLICENSE HOUDINI-NC .*\nLICENSE RENDER-NC .*\n$"],
    "renew_license.py wks beef --products RENDER-NC --version 20.5 --local": [
        r"^SERVER wks beef \S+\nLICENSE RENDER-NC 20\.5 wks \S+\n$"
    ],
    "submit_bug.py --local": [r"^Filed: \{'id': \d+, .*'summary': 'Sample', 'custom_id': '[0-9a-f]{32}'\}\n$"],
    "submit_bug.py 'It broke' 'Open it.' --type question --local": [r"'question', 'summary': 'It broke'"],
    "chunked_upload.py --local": [r"^   640 of 4096 KiB\n  1280 .*\n", r"4096 of 4096 KiB\nThe server has the whole"],
    "chunked_upload.py --local --cut": [
        r"^   640 of 4096 KiB\n  1280 .*\n  1920 .*\n.*\. Resuming\.\n  2560 of 4096 KiB\n",
        r"4096 of 4096 KiB\nThe server has the whole file\.\n$",
    ],
    "wait_for_job.py --local": [r"^\S+  queued\n\S+  running\n\S+  running\n\S+  done\n$"],
}

# The same for runs that end with an error: patterns of stderr.
FAILURES: dict[str, list[str]] = {
    "quickstart.py --live": [r"^No credentials for www\.sidefx\.com", r"SIDEFX_CLIENT_ID .*: not set", r"hserver\.ini"],
    "newest_good_build.py 20.5 --local --platform linux_arm64": [r"houdini 20\.5 .*linux_arm64"],
    "newest_good_build.py 99.9 --local": [r"^422 Unknown version '99\.9'"],
    "submit_bug.py --local --cut": [r"It may be filed already\. Look for custom_id [0-9a-f]{32} before"],
    f"submit_bug.py {'x' * 101} 'Open it.' --local": [r"^422 summary has 101 characters; 100 are allowed"],
    "wait_for_job.py --local --limit 0": [r"^job 42 is still queued after 0 seconds\n$"],
}


def run(words: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: os.environ[name] for name in NEEDED if name in os.environ}
    environment |= {name: str(home) for name in ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA")}
    # The package that is under test, wherever it was imported from.
    environment["PYTHONPATH"] = str(Path(sidefx_client.__file__).parents[1])
    # The code pages of Windows' consoles differ, so the output must be ASCII.
    environment["PYTHONIOENCODING"] = "ascii"
    # Read bytes, because universal newlines would convert the \r of a progress line.
    program, *arguments = shlex.split(words)
    command = [sys.executable, "-W", "error", str(EXAMPLES / program), *arguments]
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, timeout=60)
    out, err = (text.decode().replace(os.linesep, "\n") for text in (done.stdout, done.stderr))
    assert "Traceback" not in err
    assert not list(home.iterdir())
    return subprocess.CompletedProcess(command, done.returncode, out, err)


def assert_in_order(patterns: list[str], text: str) -> None:
    position = 0
    for pattern in patterns:
        match = re.compile(pattern).search(text, position)
        assert match, f"{pattern!r} is not in {text[position:]!r}"
        position = match.end()


@pytest.mark.parametrize("words", RUNS)
def test_an_example_prints_its_results(words: str, tmp_path: Path) -> None:
    done = run(words, tmp_path)
    assert done.returncode == 0, done.stderr
    assert_in_order(RUNS[words], done.stdout)


@pytest.mark.parametrize("words", FAILURES)
def test_a_failing_example_says_how_to_proceed_without_a_traceback(words: str, tmp_path: Path) -> None:
    done = run(words, tmp_path)
    assert done.returncode == 1
    assert_in_order(FAILURES[words], done.stderr)


def test_the_progress_bars_reach_100_percent(tmp_path: Path) -> None:
    pytest.importorskip("tqdm")
    done = run("progress_bar.py --local", tmp_path)
    assert_in_order([r"down: 100%.*32\.0M/32\.0M", r"up: 100%.*32\.0M/32\.0M"], done.stderr)
    assert_in_order([r"^houdini-20\.5\.583-\S+\n", r"The server has 33,554,432 bytes of shot\.hip\n$"], done.stdout)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_is_run_here_and_its_help_says_how(path: Path, tmp_path: Path) -> None:
    assert path.name in {"quickstart.py", "progress_bar.py", *(words.split()[0] for words in RUNS)}
    shown = run(f"{path.name} --help", tmp_path).stdout
    assert "--local" in shown
    assert f"python examples/{path.name}" in shown
