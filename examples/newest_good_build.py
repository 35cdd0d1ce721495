"""Fetch the newest good build of Houdini for this platform.

    python examples/newest_good_build.py 20.5 --production -o ~/builds
    python examples/newest_good_build.py --local        against a server on this machine: no account needed

The API sorts build numbers as text ('99' before '382'), lists bad builds too, and may have several compilers' builds
of one number: the newest is chosen by its numbers, among the good ones, for the newest compiler or the one you name.
"""

from __future__ import annotations

import argparse
import platform
import re
import sys
import tempfile

import sidefx_client as sidefx

MACOS = "macosx_arm64" if platform.machine() == "arm64" else "macos"
THIS_PLATFORM = {"Linux": "linux", "Darwin": MACOS, "Windows": "win64"}.get(platform.system())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", nargs="?", help="such as 20.5; default: the newest that has a good build")
    parser.add_argument("--platform", default=THIS_PLATFORM, help="default: %(default)s")
    parser.add_argument("--compiler", default="", help="such as gcc9.3; default: the newest")
    parser.add_argument("--production", action="store_true", help="leave the daily builds out")
    parser.add_argument("-o", "--output", default=".", metavar="DIR", help="default: the current directory")
    parser.add_argument("--local", action="store_true", help="use a server on this machine")
    args = parser.parse_args()
    try:
        if args.local:
            from sidefx_client.testing import LocalServer

            with LocalServer() as server, server.service() as service, tempfile.TemporaryDirectory() as args.output:
                fetch(service, args)
        else:
            with sidefx.service() as service:
                fetch(service, args)
    except (sidefx.SideFXError, LookupError) as error:
        sys.exit(str(error))


def fetch(service: sidefx.Service, args: argparse.Namespace) -> None:
    builds = service.download.get_daily_builds_list("houdini", args.version, args.platform, args.production)
    good = [build for build in builds if build["status"] == "good" and build["platform"].endswith(args.compiler)]
    if not good:
        raise LookupError(f"none of the {len(builds)} builds that fit is good")
    newest = max(good, key=lambda build: [numbers(build[part]) for part in ("version", "build", "platform")])
    print(f"{newest['version']}.{newest['build']} of {newest['date']} for {newest['platform']}")
    where = newest["version"], newest["build"], newest["platform"]
    print(sidefx.download_build(service, "houdini", *where, directory=args.output))


def numbers(text: str) -> list[int]:
    """'20.5' -> [20, 5]; of a platform, the version of its compiler: 'linux_x86_64_gcc11.2' -> [86, 64, 11, 2]."""
    return [int(digits) for digits in re.findall(r"\d+", text)]


if __name__ == "__main__":
    main()
