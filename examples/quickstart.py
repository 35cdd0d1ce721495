"""A first look: list builds, upload a file, save a stream, download a build.

    python examples/quickstart.py          all of it, with a server on this machine: no account needed
    python examples/quickstart.py --live   list real builds with your own credentials, and write no file

In a clone it needs `pip install ".[testing]"`; --live needs no extra.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import sidefx_client as sidefx


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--local", action="store_true", help="a server on this machine (the default)")
    where.add_argument("--live", action="store_true", help="https://www.sidefx.com, read-only")
    if not parser.parse_args().live:
        return run_all()
    try:
        with sidefx.service() as service:
            list_builds(service)
    except sidefx.SideFXError as error:
        sys.exit(str(error))


def list_builds(service: sidefx.Service) -> None:
    builds = service.download.get_daily_builds_list("houdini", only_production=True)
    print(f"{len(builds)} production builds of Houdini, for all platforms. The first:")
    for build in builds[:4]:
        print(f"     {build['version']}.{build['build']:5}  {build['date']}  {build['platform']}")


def run_all() -> None:
    from sidefx_client.testing import LocalServer, Stream

    with LocalServer(build_size=64 << 20) as server, server.service() as service, tempfile.TemporaryDirectory() as temp:
        folder = Path(temp)
        # The documented functions of the real server exist already. These two are made up.
        server.register("scenes.upload", lambda scene: {"name": scene.filename, "size": scene.size})
        server.register("scenes.get_preview", lambda name: Stream(bytes(8 << 20), f"{name}.exr"))
        print(f"A local SideFX Web API runs at {server.url}. This example sends no data to other machines.\n")
        print("1. Listed: ", end="")
        list_builds(service)
        scene = folder / "shot_010.hip"
        scene.write_bytes(bytes(32 << 20))
        result = service.scenes.upload(scene=sidefx.File(scene, progress=show))
        print(f"\n2. Uploaded from disk, block by block: the server has {result['size']:,} bytes of {result['name']}")
        with service.scenes.get_preview("shot_010") as stream:
            saved = stream.save(folder / (stream.name or "preview"), progress=show)
        print(f"\n3. Saved a stream: {saved.name}, {saved.stat().st_size:,} bytes")
        path = sidefx.download_build(service, "houdini", "20.5", directory=folder, progress=show)
        print(f"\n4. Downloaded a build: {path.name}, {path.stat().st_size:,} bytes, with the right MD5")
        print(f"\nIt worked. Requests: {server.requests}, connections: {server.connections}.")


def show(done: int, total: int | None) -> None:
    print(f"\r     {done >> 20:3} of {(total or done) >> 20} MiB", end="", flush=True)


if __name__ == "__main__":
    main()
