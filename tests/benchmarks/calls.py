"""Small calls: what a call costs the client, what a script costs, and how often the line is crossed."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import clients
from measure import OURS, Goal, Meter, Sample, Workload
from servers import Stage

RTT = 0.08  # seconds, of `Stage.far`
Open = Callable[..., clients.Call]


def in_sequence(opened: Open, count: int = 500) -> Callable[[Stage], Sample]:
    def run(stage: Stage) -> Sample:
        call = opened(stage.base)
        repeat(call, 20)
        return per_call(Meter().measure(repeat, call, count), count)

    return run


def in_threads(opened: Open, workers: int = 8, each: int = 100) -> Callable[[Stage], Sample]:
    """Eight threads share one client; their connections are opened within the time."""

    def run(stage: Stage) -> Sample:
        call = opened(stage.base)
        repeat(call, 2)
        with ThreadPoolExecutor(workers) as pool:
            sample = Meter().measure(lambda: list(pool.map(repeat, [call] * workers, [each] * workers)))
        return per_call(sample, workers * each)

    return run


def curl_in_sequence(stage: Stage, count: int = 500) -> Sample:
    """One process and one connection for all calls; its start is a part of the time."""
    one = f'url = "{stage.base}/api/"\nheader = "Authorization: Bearer benchmark"\noutput = "/dev/null"\n'
    one += f'data = "json={quote(clients.TEXT)}"\n'
    config = f"{stage.folder}/curl.conf"
    with open(config, "w") as file:
        file.write("next\n".join([one] * count))
    meter = Meter()
    return per_call(meter.measure(meter.program, "curl", "-sS", "--fail", "-K", config), count)


def repeat(call: clients.Call, count: int) -> None:
    for _ in range(count):
        answer = call()
    if answer["pong"] != 1:
        raise RuntimeError(f"a wrong answer: {answer}")


def per_call(sample: Sample, count: int) -> Sample:
    return {"cpu_us": sample["cpu_s"] / count * 1e6, "wall_us": sample["wall_s"] / count * 1e6}


def script(opened: Open) -> Callable[[Stage], Sample]:
    """A whole process: Python's start, import, token, one call, end."""

    def run(stage: Stage) -> Sample:
        code = f"import clients; clients.{opened.__name__}({stage.base!r})()"
        return best_of([sys.executable, "-c", code])

    return run


def curl_script(stage: Stage) -> Sample:
    """Two processes, and sed between them, as in a shell script."""
    token = f'token=$(curl -sS -X POST -u id:secret {stage.base}/token | sed \'s/.*access_token": "//; s/".*//\')'
    call = f"curl -sS -H \"Authorization: Bearer $token\" --data-urlencode 'json={clients.TEXT}' {stage.base}/api/"
    return best_of(["sh", "-e", "-c", f"{token}\n{call}"])


def imports(module: str) -> Callable[[Stage], Sample]:
    """The import alone, in a fresh interpreter with its byte code cached."""
    clock = f"import time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"

    def run(stage: Stage) -> Sample:
        outs = [subprocess.check_output([sys.executable, "-c", clock]) for _ in range(6)]
        return {"wall_ms": min(float(out) for out in outs) * 1e3}

    return run


def best_of(command: list[str], runs: int = 6) -> Sample:
    """The least of some runs: the first writes the byte code, and what a neighbour disturbs is only ever slower."""
    walls = []
    for _ in range(runs):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        walls.append(time.perf_counter() - start)
    return {"wall_ms": min(walls) * 1e3}


def round_trips(opened: Open) -> Callable[[Stage], Sample]:
    def run(stage: Stage) -> Sample:
        opened(stage.base)()  # past the line: to have imported all of it
        return crossings(lambda: opened(stage.far))

    return run


def round_trips_kept(stage: Stage) -> Sample:
    """A script that finds the token which an earlier one has kept."""
    cache = f"{stage.folder}/token.json"
    earlier = f"import clients; clients.ours({stage.far!r}, {cache!r})"
    subprocess.run([sys.executable, "-c", earlier], check=True)
    clients.ours(stage.base)()
    return crossings(lambda: clients.ours(stage.far, cache))


def crossings(open_client: Callable[[], clients.Call], count: int = 10) -> Sample:
    """How often the slow line is waited for: cold (open, token, one call), then by a call on the open connection.

    Cold, what this process computes is left out: to load the public roots alone takes a fifth of a round trip.
    """
    wall, cpu = time.perf_counter(), time.process_time()
    call = open_client()
    call()
    cold = (time.perf_counter() - wall) - (time.process_time() - cpu)
    walls = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        walls.append(time.perf_counter() - start)
    return {"cold_trips": cold / RTT, "warm_trips": statistics.median(walls) / RTT}


PEERS = {
    "urllib3": clients.urllib3_pool,
    "requests": clients.requests_session,
    "httpx": clients.httpx_client,
    "vendor's way": clients.vendor,
}
NEEDS = {"httpx": "httpx", "curl": "curl"}
KEPT = f"{OURS}, token kept"


WORKLOADS = {
    "calls": Workload(
        title="Small calls in sequence over TLS, per call",
        contenders={
            OURS: in_sequence(clients.ours),
            **{name: in_sequence(opened) for name, opened in PEERS.items()},
            "vendor's way": in_sequence(clients.vendor, count=50),
            "curl": curl_in_sequence,
        },
        needs=NEEDS,
        one_cpu=True,
        metric="cpu_us",
        baseline="urllib3",
        goals=(
            Goal("cpu_us", 1.75, "urllib3"),
            Goal("cpu_us", 1.5, "urllib3"),
            Goal("cpu_us", 1.0, "httpx"),
            Goal("cpu_us", 1 / 40, "vendor's way"),
        ),
    ),
    "threads": Workload(
        title="8 threads x 100 calls on one client over TLS, per call",
        contenders={
            OURS: in_threads(clients.ours),
            **{name: in_threads(opened) for name, opened in PEERS.items()},
            "vendor's way": in_threads(clients.vendor, each=10),
        },
        needs=NEEDS,
        metric="cpu_us",
        baseline="urllib3",
        goals=(Goal("cpu_us", 1.75, "urllib3"),),
    ),
    "script": Workload(
        title="A whole short script: start, import, token, one call, end",
        contenders={
            OURS: script(clients.ours),
            **{name: script(opened) for name, opened in PEERS.items()},
            "curl": curl_script,
        },
        needs=NEEDS,
        one_cpu=True,
        metric="wall_ms",
        baseline="vendor's way",
        goals=(Goal("wall_ms", 0.9, "vendor's way"),),
    ),
    "import": Workload(
        title="The import alone",
        contenders={name: imports(name) for name in (OURS, "requests", "urllib3", "httpx")},
        needs=NEEDS,
        one_cpu=True,
        metric="wall_ms",
        baseline="requests",
        goals=(Goal("wall_ms", 1.1, "requests"),),
    ),
    "round trips": Workload(
        title="Round trips on a line of 80 ms",
        contenders={
            OURS: round_trips(clients.ours),
            KEPT: round_trips_kept,
            "requests": round_trips(clients.requests_session),
            "vendor's way": round_trips(clients.vendor),
        },
        metric="warm_trips",
        baseline="vendor's way",
        goals=(  # 1, 3 and 4, and a twentieth for the clocks of line and server
            Goal("warm_trips", 1 * 1.05),
            Goal("cold_trips", 3 * 1.05, contender=KEPT),
            Goal("cold_trips", 4 * 1.05),
        ),
    ),
}
