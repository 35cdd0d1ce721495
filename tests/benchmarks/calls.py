"""Small calls: the CPU time of a call, its round trips, and the time of a whole script."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from urllib.parse import quote

import clients
from measure import OURS, Meter, Sample, Workload
from servers import Stage

RTT = 0.08  # seconds, of `Stage.far`
Open = Callable[..., clients.Call]


def in_sequence(opened: Open, count: int = 500) -> Callable[[Stage], Sample]:
    def run(stage: Stage) -> Sample:
        call = opened(stage.base)
        repeat(call, 20)
        return per_call(Meter().measure(repeat, call, count), count)

    return run


def curl_in_sequence(stage: Stage, count: int = 500) -> Sample:
    """Measure one curl process with one connection for all calls. Its start counts."""
    one = f'url = "{stage.base}/api/"\nheader = "Authorization: Bearer benchmark"\noutput = "/dev/null"\n'
    one += f'data = "json={quote(clients.TEXT)}"\n'
    config = f"{stage.folder}/curl.conf"
    with open(config, "w") as file:
        file.write("next\n".join([one] * count))
    meter = Meter()
    return per_call(meter.measure(meter.program, "curl", "-sS", "--fail", "-K", config), count)


def repeat(call: clients.Call, count: int) -> None:
    for _ in range(count):
        result = call()
    if result["pong"] != 1:
        raise RuntimeError(f"wrong result: {result}")


def per_call(sample: Sample, count: int) -> Sample:
    return {"cpu_us": sample["cpu_s"] / count * 1e6, "wall_us": sample["wall_s"] / count * 1e6}


def script(opened: Open) -> Callable[[Stage], Sample]:
    """Measure a whole process: start of Python, import, token, one call, exit."""
    code = f"import clients; clients.{opened.__name__}"
    return lambda stage: shortest(lambda: seconds(sys.executable, "-c", f"{code}({stage.base!r})()"))


def curl_script(stage: Stage) -> Sample:
    """Measure a shell script with two curl processes and sed."""
    token = f'token=$(curl -sS -X POST -u id:secret {stage.base}/token | sed \'s/.*access_token": "//; s/".*//\')'
    call = f"curl -sS -H \"Authorization: Bearer $token\" --data-urlencode 'json={clients.TEXT}' {stage.base}/api/"
    return shortest(lambda: seconds("sh", "-e", "-c", f"{token}\n{call}"))


def imports(module: str) -> Callable[[Stage], Sample]:
    """Measure the import in a fresh interpreter with cached byte code."""
    clock = f"import time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"
    return lambda stage: shortest(lambda: float(subprocess.check_output([sys.executable, "-c", clock])))


def shortest(measure: Callable[[], float]) -> Sample:
    """Return the shortest of six runs. The first run writes byte code, and other processes only add time."""
    return {"wall_ms": min(measure() for _ in range(6)) * 1e3}


def seconds(*command: str) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def round_trips(opened: Open) -> Callable[[Stage], Sample]:
    """Measure a call on the open connection. Its token and its first call are requested before."""

    def run(stage: Stage) -> Sample:
        call = opened(stage.far)
        call()
        walls = [Meter().measure(call)["wall_s"] for _ in range(10)]
        return {"round_trips": statistics.median(walls) / RTT}

    return run


PEERS: dict[str, Open] = {
    OURS: clients.ours,
    "urllib3": clients.urllib3_pool,
    "requests": clients.requests_session,
    "httpx": clients.httpx_client,
    "vendor's way": clients.vendor,
}

WORKLOADS: dict[str, Workload] = {
    "calls": Workload(
        title="Small calls in sequence over TLS, per call",
        contenders={
            **{name: in_sequence(opened) for name, opened in PEERS.items()},
            "vendor's way": in_sequence(clients.vendor, count=50),
            "curl": curl_in_sequence,
        },
        one_cpu=True,
        metric="cpu_us",
    ),
    "script": Workload(
        title="A whole short script: start, import, token, one call, end",
        contenders={**{name: script(opened) for name, opened in PEERS.items()}, "curl": curl_script},
        one_cpu=True,
        metric="wall_ms",
    ),
    "import": Workload(
        title="The import alone",
        contenders={name: imports(name) for name in (OURS, "requests", "urllib3", "httpx")},
        one_cpu=True,
        metric="wall_ms",
    ),
    "round trips": Workload(
        title="Round trips on a line of 80 ms",
        contenders={name: round_trips(PEERS[name]) for name in (OURS, "requests", "vendor's way")},
        metric="round_trips",
    ),
}
