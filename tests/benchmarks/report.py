"""The results: in Markdown the versions and a table for each workload, in SVG a bar chart."""

from __future__ import annotations

import datetime
import os
import platform
import shutil
import ssl
import statistics
import subprocess
from html import escape
from importlib.metadata import version

from measure import OURS, Samples, Workload
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

WIDTH, LABEL, VALUE = 760, 210, 90  # px: the total, the names on the left, the numbers on the right
BAR, GAP, HEAD = 16, 6, 30
LONGEST = 6.0  # bars longer than this multiple of ours are shortened, so that the others stay visible

STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f } .head { font-weight: 600 } .value { fill: #57606a }
.bar { fill: #b4bcc6 } .ours { fill: #d9642b }
.cut { fill: none; stroke: #fff; stroke-width: 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .value { fill: #9da7b3 } .bar { fill: #57606a } .ours { fill: #f0883e }
  .cut { stroke: #0d1117 }
}
"""


def surroundings(stage: Stage, count: int) -> str:
    """Return the date, the machine and the versions."""
    packages = [f"{name} {version(name)}" for name in ("requests", "urllib3", "httpx")]
    versions = [f"Python {platform.python_version()}", ssl.OPENSSL_VERSION, *packages]
    for program, option in (("nginx", "-v"), ("curl", "-V"), ("aria2c", "-v")):
        if shutil.which(program):
            shown = subprocess.check_output([program, option], stderr=subprocess.STDOUT, text=True)
            versions.append(" ".join(shown.split()[:3]))
    head = f"{datetime.date.today()}, {os.cpu_count()} cores, medians of {count} rounds, file of {stage.size} MiB"
    return f"{head}, peaks over the idle process (programs: the whole).\n{', '.join(versions)}."


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


def chart(outcome: list[tuple[Workload, Samples]]) -> str:
    """Return the chart, in which each workload has its own scale. It follows the light or dark scheme of the reader."""
    parts, top = [], 8
    for workload, samples in outcome:
        if not samples:
            continue
        medians = {name: statistics.median(one[workload.metric] for one in rounds) for name, rounds in samples.items()}
        title = f"{workload.title} ({LABELS[workload.metric]})"
        parts.append(f'<text class="head" x="0" y="{top + 14}">{escape(title)}</text>')
        top += HEAD - 6
        longest = min(max(medians.values()), LONGEST * medians.get(OURS, max(medians.values())))
        for name, value in medians.items():
            parts.append(_bar(name, value, longest, top))
            top += BAR + GAP
        top += HEAD - BAR
    size = f'width="{WIDTH}" height="{top}" viewBox="0 0 {WIDTH} {top}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    head += f"\n<title>Benchmarks: shorter bars are better</title>\n<style>{STYLE}</style>"
    return "\n".join([head, *parts, "</svg>\n"])


def _bar(name: str, value: float, longest: float, top: int) -> str:
    room = WIDTH - LABEL - VALUE
    length = max(2.0, room * min(value / longest, 1))
    kind = "ours" if name.startswith(OURS) else "bar"
    bar = f'<rect class="{kind}" x="{LABEL}" y="{top}" width="{length:.0f}" height="{BAR}" rx="2"/>'
    if value > longest:
        bar += f'<path class="cut" d="M{LABEL + room - 24} {top + BAR + 2} l8 -{BAR + 4}"/>'
    baseline = top + BAR - 4
    return (
        f'<text x="{LABEL - 8}" y="{baseline}" text-anchor="end">{escape(name)}</text>{bar}'
        f'<text class="value" x="{LABEL + length + 6:.0f}" y="{baseline}">{number(value)}</text>'
    )
