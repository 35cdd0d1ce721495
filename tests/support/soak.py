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

from support.soak_server import SHARE, content, digest
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


def kind_of(seed: int, number: int) -> str:
    return random.Random(f"{seed} {number}").choice(KINDS)


@contextmanager
def server_process(seed: int, tls: bool, report: dict[str, Any]) -> Iterator[Any]:
    """Yield the two URLs and the CA bundle. Fill ``report`` at the end."""
    command = [sys.executable, "-m", "support.soak_server", "--seed", str(seed), *(["--tls"] if tls else [])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=TESTS) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.stdin.close()
        report.update(json.load(process.stdout))


def call(service: Any, seed: int, number: int) -> Outcome:
    import sidefx_client as sidefx

    kind = kind_of(seed, number)
    try:
        if kind == "download":
            right = download(service, number) == content(number)
        elif kind.endswith("stream"):
            with getattr(service.soak, kind)(number) as file:
                right = b"".join(file) == content(number)
        elif kind == "upload":
            upload = sidefx.File(io.BytesIO(content(number)), name="x.bin")
            right = service.soak.upload(number, file=upload) == ["soak.upload", number, digest(content(number))]
        else:
            right = getattr(service.soak, kind)(number) == [f"soak.{kind}", number, digest(b"")]
    except sidefx.TransportError as error:
        return Outcome(number, kind, (type(error).__name__, error.may_have_executed))
    except sidefx.APIError as error:
        return Outcome(number, kind, (type(error).__name__, error.http_code))
    assert right, f"call {number}, {kind}: wrong result"
    return Outcome(number, kind, None)


def download(service: Any, number: int) -> bytes:
    import sidefx_client as sidefx

    url = service.endpoint_url.replace("/api/", f"/files/{number}")
    known: Any = {"size": len(content(number)), "md5": digest(content(number))}
    session = service._client.session._requests  # so that files and calls share connections
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
    if not HAS_PROC:
        return 0.0
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) if HAS_PROC else 0


class Run:
    """The calls of a run. Only errors and samples of memory are kept, so that memory stays constant."""

    def __init__(self, service: Any, seed: int, calls: int) -> None:
        self.errors: list[Outcome] = []
        self.samples: list[tuple[float, int]] = []
        self._service = service
        self._seed = seed
        self._calls = calls
        self._numbers = iter(range(calls))
        self._lock = threading.Lock()

    def work(self) -> None:
        """Make calls until all are done."""
        while True:
            with self._lock:
                number = next(self._numbers, None)
                if number is None:
                    return
                if number % max(1, self._calls // 20) == 0:
                    self.samples.append((memory(), descriptors()))
            outcome = call(self._service, self._seed, number)
            if outcome.error:
                self.errors.append(outcome)


def run(calls: int, threads: int, seed: int = 1, tls: bool = False) -> str:
    """Return the figures of a run, or raise AssertionError."""
    import sidefx_client as sidefx

    report: dict[str, Any] = {}
    before, started = (descriptors(), threading.active_count()), time.monotonic()
    with server_process(seed, tls, report) as (api_url, token_url, ca_bundle):
        places = {"access_token_url": token_url, "endpoint_url": api_url, "ca_bundle": ca_bundle}
        with sidefx.service("an-id", "a-secret", **places) as service, ThreadPoolExecutor(threads) as pool:
            service._client.backoff = 0.01
            done = Run(service, seed, calls)
            for future in [pool.submit(done.work) for _ in range(threads)]:
                future.result()
        spent = time.monotonic() - started
    after = descriptors(), threading.active_count()
    assert after == before, f"descriptors and threads before {before}, after {after}"
    check_outcomes(done.errors, report, seed, calls)
    growth = done.samples[-1][0] - done.samples[len(done.samples) // 5][0]
    assert growth < GROWTH, f"memory grew by {growth:.1f} MiB"
    errors = collections.Counter(outcome.error for outcome in done.errors)
    return (
        f"{calls} calls in {threads} threads, {'TLS' if tls else 'plain'}, seed {seed}: {spent:.1f} s\n"
        f"faults: {faults_of(report)} in {sum(report['faults'].values())} responses {report['faults']}\n"
        f"errors: {len(done.errors)} {dict(errors)}; wrong results 0; executed twice 0\n"
        f"memory in MiB: {' '.join(f'{rss:.0f}' for rss, _ in done.samples)} (growth {growth:+.1f})\n"
        f"descriptors: {before[0]} before, at most {max(count for _, count in done.samples)}, {after[0]} after\n"
    )


def check_outcomes(errors: list[Outcome], report: dict[str, Any], seed: int, calls: int) -> None:
    """Compare each outcome with the number of executions, and the errors with the faults."""
    outcomes = {number: Outcome(number, kind_of(seed, number), None) for number in range(calls)}
    outcomes.update((outcome.number, outcome) for outcome in errors)
    complaints = [
        contradiction(outcome, report["executions"].get(str(number), 0)) for number, outcome in outcomes.items()
    ]
    assert not any(complaints), "\n".join(filter(None, complaints))
    assert len(errors) <= faults_of(report), "more errors than faults"
    # A truncated stream is raised to the reader. Another read-only call fails after four faults, or two 401s.
    lost = sum(outcome.kind == "get_value" for outcome in errors)
    assert lost <= 1 + calls * SHARE**3, f"{lost} calls of get_value failed although they are retried"


def faults_of(report: dict[str, Any]) -> int:
    return sum(count for name, count in report["faults"].items() if name != "none")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tls", action="store_true")
    options = parser.parse_args()
    print(run(options.calls, options.threads, options.seed, options.tls))


if __name__ == "__main__":
    main()
