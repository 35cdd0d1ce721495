"""Download the newest good build of Houdini for this machine, daily builds included.

    python examples/newest_good_build.py 20.5 -o ~/builds
    python examples/newest_good_build.py 20.5 --production
    python examples/newest_good_build.py --local        with a server on this machine: no account needed

The API sorts build numbers as text ('99' before '382'), lists bad builds too, and can have variants of one build for
several compilers. "latest" compares numbers and skips bad builds. --platform selects another platform or compiler.
"""

from __future__ import annotations

import argparse
import sys
import tempfile

import sidefx_client as sidefx


def main() -> None:
    needed = "?" if "--local" in sys.argv else None
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", nargs=needed, default="22.0", help="such as 20.5")
    parser.add_argument("--platform", help="linux, win64, linux_x86_64_gcc9.3 ...; default: this machine's")
    parser.add_argument("--production", action="store_true", help="production builds only")
    parser.add_argument("-o", "--output", default=".", metavar="DIR", help="default: the current directory")
    parser.add_argument("--local", action="store_true", help="use a server on this machine")
    args = parser.parse_args()
    try:
        if args.local:
            from sidefx_client.testing import LocalServer

            with LocalServer() as server, server.service() as service, tempfile.TemporaryDirectory() as args.output:
                download(service, args)
        else:
            with sidefx.service() as service:
                download(service, args)
    except sidefx.SideFXError as error:
        sys.exit(str(error))


def download(service: sidefx.Service, args: argparse.Namespace) -> None:
    build = "production" if args.production else "latest"
    print(sidefx.download_build(service, "houdini", args.version, build, args.platform, args.output))


if __name__ == "__main__":
    main()
