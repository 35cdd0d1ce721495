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

# Command lines with a pattern of their output. The output of quickstart.py is checked in test_readme.py.
RUNS = {
    "newest_good_build.py --local --platform linux": r"houdini-22\.0\.436-linux_x86_64_gcc14\.2\.tar\.gz\n$",
    # 99 is the newest number as text, 1002 is the newest number but bad.
    "newest_good_build.py 20.5 --local --platform linux": r"houdini-20\.5\.601-linux",
    "newest_good_build.py 20.5 --local --platform linux --production": r"houdini-20\.5\.583-linux",
    "renew_license.py wks beef --products RENDER-NC --version 20.5 --local": (
        r"^SERVER wks beef \S+\nLICENSE RENDER-NC 20\.5 wks \S+\n$"
    ),
    "submit_bug.py --local": r"^Filed: \{'id': \d+, .*'summary': 'Sample', 'custom_id': '[0-9a-f]{32}'\}\n$",
    "submit_bug.py 'It broke' 'Open it.' --type question --local": r"'question', 'summary': 'It broke'",
    "chunked_upload.py --local": r"^   640 of 4096 KiB\n  1280 .*4096 of 4096 KiB\nThe server has the whole file\.\n$",
    "chunked_upload.py --local --cut": (
        r"^   640 of .*\n  1920 [^\n]*\n[^\n]*\. Resuming\.\n  2560 .*\nThe server has the whole file\.\n$"
    ),
    "wait_for_job.py --local": r"^\S+  queued\n\S+  running\n\S+  running\n\S+  done\n$",
}

# The same for runs that end with an error: patterns of stderr.
FAILURES = {
    "quickstart.py --live": r"^No credentials for www\.sidefx\.com.*SIDEFX_CLIENT_ID .*: not set.*hserver\.ini",
    "newest_good_build.py 20.5 --local --platform linux_arm64": r"houdini 20\.5 .*linux_arm64",
    "submit_bug.py --local --cut": r"It may be filed already\. Look for custom_id [0-9a-f]{32} before",
    "wait_for_job.py --local --limit 0": r"^job 42 is still queued after 0 seconds\n$",
}


def run(words: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "HOME": str(home),
        "PYTHONPATH": str(Path(sidefx_client.__file__).parents[1]),  # the package that is under test
        "PYTHONIOENCODING": "ascii",  # the code pages of Windows' consoles differ
    }
    # Read bytes, because universal newlines would convert the \r of a progress line.
    program, *arguments = shlex.split(words)
    command = [sys.executable, "-W", "error", str(EXAMPLES / program), *arguments]
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, timeout=60)
    out, err = (text.decode().replace(os.linesep, "\n") for text in (done.stdout, done.stderr))
    assert "Traceback" not in err
    assert not list(home.iterdir())
    return subprocess.CompletedProcess(command, done.returncode, out, err)


@pytest.mark.parametrize("words", [*RUNS, *FAILURES])
def test_an_example_prints_its_results_or_how_to_proceed_without_a_traceback(words: str, tmp_path: Path) -> None:
    done = run(words, tmp_path)
    assert done.returncode == (words in FAILURES), done.stderr
    text, pattern = (done.stdout, RUNS[words]) if words in RUNS else (done.stderr, FAILURES[words])
    assert re.search(pattern, text, re.DOTALL)


def test_the_progress_bars_reach_100_percent(tmp_path: Path) -> None:
    pytest.importorskip("tqdm")
    done = run("progress_bar.py --local", tmp_path)
    assert re.search(r"down: 100%.*32\.0M/32\.0M.*up: 100%.*32\.0M/32\.0M", done.stderr, re.DOTALL)
    assert re.search(r"^houdini-20\.5\.583-\S+\n.*33,554,432 bytes of shot\.hip\n$", done.stdout, re.DOTALL)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_is_run_here_and_listed_in_the_readme_and_has_help(path: Path, tmp_path: Path) -> None:
    assert path.name in {"quickstart.py", "progress_bar.py", *(words.split()[0] for words in RUNS)}
    assert f"[{path.name}]({path.name})" in (EXAMPLES / "README.md").read_text(encoding="utf-8")
    shown = run(f"{path.name} --help", tmp_path).stdout
    assert "--local" in shown
    assert f"python examples/{path.name}" in shown
