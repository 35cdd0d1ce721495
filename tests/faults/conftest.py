"""Checks after every fault test: no leaked threads, descriptors, files or secrets."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import re
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.case import Case, check_text
from support.systems import HAS_PROC

DESCRIPTORS = Path("/proc/self/fd")
PATIENCE = 2.0  # seconds that an ending thread may take


@pytest.fixture(autouse=True)
def case(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Iterator[Case]:
    """Check after the test that it did not leak a thread, descriptor, file or secret, or move a caller's file."""
    folders = (tmp_path, Path.home(), tmp_path_factory.mktemp("temporary"))
    monkeypatch.setattr(tempfile, "tempdir", str(folders[-1]))  # for capfd too: its files have names on Windows
    caplog.set_level(logging.DEBUG, logger="sidefx_client")
    threads, descriptors = set(threading.enumerate()), _descriptors()
    gc.freeze()  # exclude existing objects from the collection below, which would take a third of the time
    case = Case(tmp_path)
    yield case
    case.finish()
    captured = capfd.readouterr()
    capfd.close()
    check_text(captured.out + captured.err, "the output")
    for record in (*caplog.get_records("setup"), *caplog.get_records("call")):
        check_text(logging.Formatter().format(record) + repr(record.args), "the log")
    gc.collect()
    gc.unfreeze()
    deadline = time.monotonic() + PATIENCE
    while set(threading.enumerate()) - threads and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not set(threading.enumerate()) - threads, "a thread is left"
    assert not _descriptors() - descriptors, "a descriptor is left"
    left = {path for folder in folders for path in folder.rglob("*") if path.is_file()} - case.declared
    assert not left, "a file is left"


@pytest.fixture(params=[None, "good"], ids=["plain", "tls"])
def tls(request: pytest.FixtureRequest) -> str | None:
    """Run a test without and with TLS. The value is an argument of ScriptedServer."""
    kind: str | None = request.param
    return kind


def _descriptors() -> Counter[str]:
    """Return the open descriptors of this process by target. Empty without /proc."""
    found: Counter[str] = Counter()
    for entry in DESCRIPTORS.iterdir() if HAS_PROC else ():
        with contextlib.suppress(FileNotFoundError):  # the descriptor of the listing itself
            # pytest captures into nameless files, new ones for each phase.
            found[re.sub(r"^.*/#\d+ \(deleted\)$", "a nameless file", os.readlink(entry))] += 1
    return found
