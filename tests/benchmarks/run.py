"""The benchmarks, run by hand: `python tests/benchmarks/run.py all`, or the names of some tables; Linux with nginx.

Everything runs on loopback and is removed at the end. Markdown goes to stdout, --svg writes the chart.
The transfers of five rounds take ten minutes, 1.3 GiB in the temporary folder and 2 GiB in /dev/shm.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import calls
import report
import servers
import transfers
from line import Line
from measure import Samples, Workload, rounds

WORKLOADS = {**transfers.WORKLOADS, **calls.WORKLOADS}
RTT, RATE = 0.08, 4 << 20  # of the slow line: seconds, and bytes per second and connection


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", choices=["all", *WORKLOADS])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=1024, help="MiB of the file to transfer (default: 1024)")
    parser.add_argument("--svg", type=Path, help="write the bar chart here")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # so that child processes end
    outcome: list[tuple[Workload, Samples]] = []
    everywhere = os.sched_getaffinity(0)
    names = list(WORKLOADS) if "all" in options.tables else options.tables
    with stage(options.size, bool({*names} & {*transfers.WORKLOADS})) as (place, server_pid):
        for name in names:
            title = WORKLOADS[name].title.format(size=options.size, quarter=options.size // 4)
            workload = dataclasses.replace(WORKLOADS[name], title=title)
            for pid in (0, server_pid):
                os.sched_setaffinity(pid, {max(everywhere)} if workload.one_cpu else everywhere)
            outcome.append((workload, rounds(name, workload, place, options.rounds)))
        print(report.surroundings(place, options.rounds))
    for workload, samples in outcome:
        print(f"\n### {workload.title}\n\n{report.table(workload, samples)}")
    if options.svg:
        options.svg.write_text(report.chart(outcome), encoding="utf-8")


@contextlib.contextmanager
def stage(size: int, with_files: bool) -> Iterator[tuple[servers.Stage, int]]:
    """Make certificate and files, and run nginx and the slow line. Remove them at the end."""
    memory = "/dev/shm"  # for downloads, so that the disk does not count
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))
        roomy = os.path.isdir(memory) and shutil.disk_usage(memory).free > size << 21
        out = stack.enter_context(tempfile.TemporaryDirectory(dir=memory if roomy else folder))
        servers.certificates(folder)
        digests = servers.random_files(folder / "data", {1, size // 4, size} if with_files else ())
        server, port = stack.enter_context(servers.nginx(folder))
        line = stack.enter_context(Line(port, rtt=RTT, rate=RATE))
        base, far = f"https://localhost:{port}", f"https://localhost:{line.port}"
        yield servers.Stage(base, far, str(folder), f"{out}/download.bin", size, digests), server.pid


if __name__ == "__main__":
    main()
