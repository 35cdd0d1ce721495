"""Thousands of calls, uploads, streams and downloads from many threads, with random faults in 5 % of the responses.

    cd tests && python -m support.soak [--calls 20000] [--threads 16] [--seed 1] [--tls]

Every result must be correct, and a function that is not read-only must run at most once. The server is a process of
its own and counts the runs by the number in the arguments. Each error must match the fault that the server played, and
memory and descriptors must not grow. Prints figures; test_soak.py is the short form.
"""

from __future__ import annotations

import argparse
import collections
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import sidefx_client as sidefx
from sidefx_client.downloads import workers
from support.downloads import md5
from support.soak_server import SHARE, content
from support.systems import HAS_PROC

KINDS = ("submit", "submit", "upload", "stream", "get_value", "get_stream", "download")
GROWTH = 24.0  # MiB that a process with many threads may gain in the last four fifths of a run
UNDONE = (("TransportError", False), ("RateLimitError", 429), ("APIError", 503), ("APIError", 401))  # 401: twice
TESTS = Path(__file__).parents[1]


class Outcome(NamedTuple):
    """The outcome of a call. ``error`` is its class name with status or ``may_have_executed``, None for a result."""

    number: int
    kind: str
    error: tuple[str, Any] | None


@contextmanager
def server_process(seed: int, tls: bool, report: dict[str, Any]) -> Iterator[Any]:
    """Yield the two URLs and the CA bundle. Fill ``report`` at the end."""
    command = [sys.executable, "-m", "support.soak_server", str(seed), "good" if tls else ""]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=TESTS) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.stdin.close()
        report.update(json.load(process.stdout))


def call(service: Any, seed: int, number: int) -> Outcome:
    kind = random.Random(f"{seed} {number}").choice(KINDS)
    function, error = getattr(service.soak, kind), None
    try:
        if kind == "download":
            right = download(service, number) == content(number)
        elif kind.endswith("stream"):
            with function(number) as file:
                right = b"".join(file) == content(number)
        elif kind == "upload":
            upload = sidefx.File(io.BytesIO(content(number)), name="x.bin")
            right = function(number, file=upload) == [f"soak.{kind}", number, md5(content(number))]
        else:
            right = function(number) == [f"soak.{kind}", number, md5(b"")]
        assert right, f"call {number}, {kind}: wrong result"
    except (sidefx.TransportError, sidefx.APIError) as raised:
        told = raised.may_have_executed if isinstance(raised, sidefx.TransportError) else raised.http_code
        error = type(raised).__name__, told
    return Outcome(number, kind, error)


def download(service: Any, number: int) -> bytes:
    url = service.endpoint_url.replace("/api/", f"/files/{number}")
    known: Any = {"size": len(content(number)), "md5": md5(content(number))}
    session = service._session._requests  # so that files and calls share connections
    with tempfile.TemporaryDirectory() as directory:
        return sidefx.download_file(url, Path(directory, "file"), session=session, **known).read_bytes()


def contradiction(outcome: Outcome, executions: int) -> str | None:
    """Return an error message if the outcome contradicts the number of executions, else None."""
    read_only = outcome.kind.startswith("get_")
    if outcome.kind == "download":
        fine = outcome.error is None  # a break is resumed, and an empty file is not requested
    elif outcome.error is None:
        fine = executions >= 1 if read_only else executions == 1
    elif read_only:
        fine = True  # check_outcomes limits their number
    elif outcome.error == ("TransportError", True):
        fine = executions <= 1
    else:
        fine = executions == 0 and outcome.error in UNDONE
    return None if fine else f"{outcome}, executed {executions} times"


def memory() -> float:
    """Return the resident memory of this process in MiB, 0 if unknown."""
    lines = Path("/proc/self/status").read_text().splitlines() if HAS_PROC else ["VmRSS: 0"]
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def open_things() -> tuple[int, int]:
    """Return the numbers of descriptors and threads of this process."""
    return len(os.listdir("/proc/self/fd")) if HAS_PROC else 0, threading.active_count()


def run(calls: int, threads: int, seed: int = 1, tls: bool = False) -> str:
    """Return the figures of a run, or raise AssertionError."""
    report: dict[str, Any] = {}
    samples: list[float] = []
    before, started = open_things(), time.monotonic()

    def work(number: int) -> Outcome:
        if number % max(1, calls // 20) == 0:
            samples.append(memory())
        return call(service, seed, number)

    with server_process(seed, tls, report) as (api_url, token_url, ca_bundle), patch.object(workers, "BACKOFF", 0.01):
        places = {"access_token_url": token_url, "endpoint_url": api_url, "ca_bundle": ca_bundle}
        with sidefx.service("an-id", "a-secret", **places) as service, ThreadPoolExecutor(threads) as pool:
            service._backoff = 0.01
            outcomes = list(pool.map(work, range(calls)))
    spent = time.monotonic() - started
    assert open_things() == before, f"descriptors and threads before {before}, after {open_things()}"
    check_outcomes(outcomes, report)
    growth = samples[-1] - samples[len(samples) // 5]
    assert growth < GROWTH, f"memory grew by {growth:.1f} MiB"
    errors = collections.Counter(outcome.error for outcome in outcomes if outcome.error)
    return (
        f"{calls} calls in {threads} threads, {'TLS' if tls else 'plain'}, seed {seed}: {spent:.1f} s\n"
        f"responses: {report['faults']}\nerrors: {dict(errors)}; wrong results 0; executed twice 0\n"
        f"memory in MiB: {' '.join(f'{rss:.0f}' for rss in samples)} (growth {growth:+.1f})\n"
    )


def check_outcomes(outcomes: list[Outcome], report: dict[str, Any]) -> None:
    """Compare each outcome with the number of executions, and the errors with the faults."""
    executions = report["executions"]
    complaints = [contradiction(outcome, executions.get(str(outcome.number), 0)) for outcome in outcomes]
    assert not any(complaints), "\n".join(filter(None, complaints))
    failed = [outcome.kind for outcome in outcomes if outcome.error]
    faults = sum(count for name, count in report["faults"].items() if name != "none")
    assert len(failed) <= faults, "more errors than faults"
    # A truncated stream is raised to the reader. Another read-only call fails after four faults, or two 401s.
    lost = failed.count("get_value")
    assert lost <= 1 + len(outcomes) * SHARE**3, f"{lost} calls of get_value failed although they are retried"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tls", action="store_true")
    print(run(**vars(parser.parse_args())))
