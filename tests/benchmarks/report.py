"""The results in Markdown: the versions, and a table for each workload."""

from __future__ import annotations

import datetime
import os
import platform
import ssl
import statistics
import subprocess
from importlib.metadata import version

from measure import Samples, Workload
from servers import Stage

LABELS = {
    "cpu_s": "client CPU, s",
    "cpu_us": "client CPU, µs",
    "wall_s": "wall, s",
    "wall_us": "wall, µs",
    "wall_ms": "wall, ms",
    "peak_mib": "peak, MiB",
    "sent_again": "bytes after the cut / bytes of the file",
    "round_trips": "round trips",
}


def surroundings(stage: Stage, count: int) -> str:
    """Return the date, the machine and the versions."""
    packages = [f"{name} {version(name)}" for name in ("requests", "urllib3", "httpx")]
    programs = [_version("nginx", "-v"), _version("curl", "-V"), _version("aria2c", "-v")]
    versions = [f"Python {platform.python_version()}", ssl.OPENSSL_VERSION, *packages, *programs]
    transfers = f", file of {stage.size} MiB, peaks over the idle process (programs: the whole)" if stage.md5 else ""
    head = f"{datetime.date.today()}, {os.cpu_count()} cores, medians of {count} rounds{transfers}."
    return f"{head}\n{', '.join(filter(None, versions))}."


def _version(*command: str) -> str:
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True)
    except FileNotFoundError:
        return ""
    return " ".join(done.stdout.split()[:3])


def table(workload: Workload, samples: Samples) -> str:
    """Return a row of medians for each contender."""
    metrics = list(dict.fromkeys(metric for rounds in samples.values() for metric in rounds[0]))
    rows = [["", *(LABELS[metric] for metric in metrics)], ["---", *["---:"] * len(metrics)]]
    for contender, rounds in samples.items():
        rows.append([contender, *(number(statistics.median(one[metric] for one in rounds)) for metric in metrics)])
    rows += [[contender, f"skipped: {need} not found"] for contender, need in workload.missing().items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def number(value: float) -> str:
    """Return three significant digits."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
