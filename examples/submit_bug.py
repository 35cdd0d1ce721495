"""File a bug report once, even if the connection breaks.

    python examples/submit_bug.py "Vellum crashes" "Cook /obj/cloth at frame 12." --version 20.5.445
    python examples/submit_bug.py --local          with a server on this machine: no account needed
    python examples/submit_bug.py --local --cut    the same, but the connection breaks before the response

SideFX must have approved the account for the bug database. With --local the text is optional.
"""

from __future__ import annotations

import argparse
import sys
import uuid

import sidefx_client as sidefx


def main() -> None:
    needed = "?" if "--local" in sys.argv else None
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("summary", nargs=needed, default="Sample", help="at most 100 characters")
    parser.add_argument("description", nargs=needed, default="Only a sample.", help="the details")
    for option, default in {"version": "20.5", "product": "All", "category": "general", "os": "All"}.items():
        parser.add_argument(f"--{option}", default=default, help="default: %(default)s")
    parser.add_argument("--priority", default="SEV3", choices=["SEV1", "SEV2", "SEV3", "SEV4", "SEV5"])
    parser.add_argument("--type", default="bug", choices=["bug", "RFE", "question"])
    parser.add_argument("--local", action="store_true", help="use a server on this machine")
    parser.add_argument("--cut", action="store_true", help="with --local: break the connection")
    report = vars(parser.parse_args())
    local, cut = report.pop("local"), report.pop("cut")
    try:
        if local:
            from sidefx_client.testing import LocalServer

            with LocalServer() as server, server.service() as service:
                if cut:
                    server.drop(function="bugs.submit_issue")
                submit(service, report)
        else:
            with sidefx.service() as service:
                submit(service, report)
    except sidefx.SideFXError as error:
        sys.exit(str(error))


def submit(service: sidefx.Service, report: dict[str, str]) -> None:
    mark = uuid.uuid4().hex  # our own name for this report, to find it again
    try:
        print("Filed:", service.bugs.submit_issue(**report, custom_id=mark))
    except sidefx.TransportError as error:
        if not error.may_have_executed:
            raise  # the server cannot have received it, so run this again
        sys.exit(f"{error}\nIt may be filed already. Look for custom_id {mark} before you file it again.")


if __name__ == "__main__":
    main()
