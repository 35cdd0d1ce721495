"""Workloads and their measurement: each contender in a fresh process, rounds interleaved.

A contender is a function that takes the `Stage` and returns a sample with one number per metric. Lower is better.
`measure.py WORKLOAD CONTENDER STAGE` runs a contender once, and prints its sample in JSON.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from servers import Stage

OURS = "sidefx_client"
OPTIONAL = ("curl", "wget2", "aria2c", "httpx", "pyreqwest")  # the names of their contenders begin with them
TIMEOUT = 1200  # seconds that one contender may take

Sample = dict[str, float]
Samples = dict[str, list[Sample]]  # contender: one sample per round


@dataclass(frozen=True)
class Workload:
    """A table: its contenders in order, and the metric of the chart."""

    title: str
    contenders: dict[str, Callable[[Stage], Sample]]
    metric: str
    one_cpu: bool = False  # server and client share a CPU, because results across two CPUs vary by 50 %

    def missing(self) -> dict[str, str]:
        """Return the contenders that cannot run here, with the missing program or module."""
        needs = {name: name.split()[0].rstrip(",") for name in self.contenders}
        lost = {need for need in OPTIONAL if not shutil.which(need) and not importlib.util.find_spec(need)}
        return {name: need for name, need in needs.items() if need in lost}


def rounds(name: str, workload: Workload, stage: Stage, count: int) -> Samples:
    """Run every contender `count` times in processes, in an order that rotates by one per round."""
    missing = workload.missing()
    order = deque(contender for contender in workload.contenders if contender not in missing)
    samples: Samples = {contender: [] for contender in order}
    for number in range(count):
        for contender in order:
            os.sync()  # so that writes of the previous contender do not count
            command = [sys.executable, __file__, name, contender, json.dumps(asdict(stage))]
            out = subprocess.check_output(command, env=stage.environment(), timeout=TIMEOUT)
            samples[contender].append(json.loads(out))
            print(f"{name}, round {number + 1} of {count}: {contender}", file=sys.stderr)
        order.rotate(-1)
    return samples


class Meter:
    """Wall time (s), CPU time (s, with child processes) and peak memory (MiB above the idle process) of a function."""

    def __init__(self) -> None:
        gc.collect()
        self.idle = _status("self", "VmRSS")
        self.program_peak = 0

    def measure(self, act: Callable[..., Any], *args: Any) -> Sample:
        self.program_peak = 0
        Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
        wall, cpu = time.perf_counter(), _cpu()
        act(*args)
        wall, cpu = time.perf_counter() - wall, _cpu() - cpu
        peak = self.program_peak or _status("self", "VmHWM") - self.idle
        return {"wall_s": wall, "cpu_s": cpu, "peak_mib": peak / 1024}

    def program(self, *command: str) -> str:
        """Return the output of a program. Its peak is polled, because ru_maxrss includes the memory of this process."""
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            with contextlib.suppress(OSError, StopIteration):  # the program has ended
                while child.poll() is None:
                    self.program_peak = max(self.program_peak, _status(child.pid, "VmHWM"))
                    time.sleep(0.01)
            out, _ = child.communicate()
        if child.returncode:
            raise RuntimeError(f"{command[0]} ended with {child.returncode}")
        return out


def _cpu() -> float:
    both = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def _status(pid: object, key: str) -> int:
    """Return a value of /proc/PID/status in KiB."""
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(key))


if __name__ == "__main__":
    import calls
    import transfers

    name, contender, fields = sys.argv[1:]
    stage = Stage(**json.loads(fields))
    print(json.dumps({**transfers.WORKLOADS, **calls.WORKLOADS}[name].contenders[contender](stage)))
    Path(stage.target).unlink(missing_ok=True)
