"""Wait for a long job: poll its status until it ends, with growing pauses.

    python examples/wait_for_job.py farm.get_job 42 --limit 3600
    python examples/wait_for_job.py --local        with a server on this machine: no account needed

The public pages document no function for long jobs, so give the name of yours. It takes the number of the job, and
returns an object with a "status".
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time

import sidefx_client as sidefx

MAX_PAUSE = 30.0  # seconds between two polls


def main() -> None:
    needed = "?" if "--local" in sys.argv else None
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("function", nargs=needed, default="farm.get_job")
    parser.add_argument("job", nargs=needed, default="42")
    parser.add_argument("--limit", type=float, default=3600.0, help="seconds to wait in all; default: %(default)s")
    parser.add_argument("--local", action="store_true", help="use a server on this machine")
    args = parser.parse_args()
    try:
        if args.local:
            from sidefx_client.testing import LocalServer

            states = itertools.chain(["queued", "running", "running"], itertools.repeat("done"))
            with LocalServer() as server, server.service() as service:
                server.register(args.function, lambda job: {"status": next(states)})
                wait(service, args, pause=0.05)
        else:
            with sidefx.service() as service:
                wait(service, args, pause=2.0)
    except (sidefx.SideFXError, TimeoutError) as error:
        sys.exit(str(error))


def wait(service: sidefx.Service, args: argparse.Namespace, pause: float) -> None:
    end = time.monotonic() + args.limit
    while True:
        # A name that begins with get_ is read-only, so dropped connections and 503s are retried automatically.
        status = sidefx.call(service, args.function, [args.job])["status"]
        print(f"{time.strftime('%H:%M:%S')}  {status}", flush=True)
        if status in ("done", "failed", "canceled"):
            return
        if time.monotonic() + pause > end:
            raise TimeoutError(f"job {args.job} is still {status} after {args.limit:g} seconds")
        time.sleep(pause)
        pause = min(pause * 1.5, MAX_PAUSE)


if __name__ == "__main__":
    main()
