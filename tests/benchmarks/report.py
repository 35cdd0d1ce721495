"""The results in Markdown: the environment, a table for each workload, and its goals."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import re
import ssl
import statistics
import subprocess

from measure import Goal, Samples, Workload, ratio
from servers import Stage

LABELS = {
    "cpu_s": "client CPU, s",
    "cpu_us": "client CPU, µs",
    "wall_s": "wall, s",
    "wall_us": "wall, µs",
    "wall_ms": "wall, ms",
    "mib_per_s": "MiB/s",
    "peak_mib": "peak, MiB",
    "peak_mib_1/16": "peak at 1/16 of the size, MiB",
    "peak_mib_x3": "peak at 3 x the size, MiB",
    "sent_again": "bytes after the cut / bytes of the file",
    "cold_trips": "cold, round trips",
    "warm_trips": "warm, round trips",
}


def surroundings(stage: Stage, count: int) -> str:
    """Return the date, the machine and the versions."""
    with open("/proc/cpuinfo") as file:
        model = re.search(r"model name\s*: (.*)", file.read())
    packages = [f"{name} {version}" for name in ("requests", "urllib3", "httpx") if (version := _package(name))]
    programs = [_first_line("nginx", "-v"), _first_line("curl", "-V"), _first_line("aria2c", "-v")]
    python = f"Python {platform.python_version()}"
    versions = [python, ssl.OPENSSL_VERSION, *packages, *filter(None, programs)]
    kind = subprocess.check_output(["stat", "-f", "-c", "%T", stage.out], text=True).strip()
    transfers = (
        f", file of {stage.size} MiB, downloads written to {kind}, peaks over the idle process (programs: the whole)"
        if stage.md5
        else ""
    )
    return (
        f"{datetime.date.today()}, {os.cpu_count()} cores ({model.group(1) if model else platform.machine()}), "
        f"medians of {count} rounds{transfers}.\n"
        f"{', '.join(versions)}."
    )


def _package(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _first_line(*command: str) -> str:
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True)
    except FileNotFoundError:
        return ""
    found = re.search(r"(nginx/|curl |aria2 version )[\d.]+", done.stdout)
    return found.group().replace("/", " ").replace("version ", "") if found else command[0]


def table(workload: Workload, samples: Samples) -> str:
    """Return a row for each contender: medians, and the ratio of the workload's metric to its baseline."""
    metrics = list(dict.fromkeys(metric for rounds in samples.values() for metric in rounds[0]))
    heads = [
        "",
        *(LABELS[metric] for metric in metrics),
        f"{LABELS[workload.metric].split(',')[0]} / {workload.baseline}",
    ]
    rows = [heads, ["---", *["---:"] * (len(heads) - 1)]]
    for contender, rounds in samples.items():
        medians = [statistics.median(one[m] for one in rounds) if m in rounds[0] else None for m in metrics]
        against = ratio(samples, workload.metric, contender, workload.baseline)
        rows.append([contender, *(number(value) for value in [*medians, against])])
    rows += [[contender, f"skipped: {need} not found"] for contender, need in workload.missing().items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def goals(workload: Workload, samples: Samples) -> str:
    return "\n".join(f"- {_goal(goal, goal.measured(samples))}" for goal in workload.goals)


def _goal(goal: Goal, measured: float | None) -> str:
    times = f" x {goal.against}" if goal.against else ""
    text = f"{goal.contender}: {LABELS[goal.metric]}: at most {number(goal.limit)}{times}"
    if measured is None:
        return f"{text}: not measured"
    return f"{text}: {number(measured)}, {'met' if measured <= goal.limit else '**missed**'}"


def number(value: float | None) -> str:
    """Return three significant digits."""
    if value is None:
        return ""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
