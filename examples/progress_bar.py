"""Show a progress bar in both directions: download a build, upload a file.

    python examples/progress_bar.py 20.5 -o ~/builds
    python examples/progress_bar.py --local        both, with a server on this machine: no account needed

It needs `pip install tqdm`. Any other bar works too: a progress function gets the transferred and the total bytes.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
from collections.abc import Callable, Iterator

from tqdm import tqdm

import sidefx_client as sidefx


@contextlib.contextmanager
def bar(label: str) -> Iterator[Callable[[int, int | None], None]]:
    with tqdm(desc=label, unit="B", unit_scale=True, unit_divisor=1024) as shown:

        def progress(done: int, total: int | None) -> None:
            shown.total = total
            shown.update(done - shown.n)  # backwards if an upload is retried

        yield progress


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", nargs="?" if "--local" in sys.argv else None, default="20.5")
    parser.add_argument("-o", "--output", default=".", metavar="DIR", help="default: the current directory")
    parser.add_argument("--local", action="store_true", help="use a server on this machine")
    args = parser.parse_args()
    try:
        if args.local:
            from sidefx_client.testing import LocalServer

            with LocalServer(build_size=32 << 20) as server, tempfile.TemporaryDirectory() as folder:
                server.register("scenes.upload", lambda scene: scene.size)
                with server.service() as service:
                    download(service, args.version, folder)
                    upload(service, io.BytesIO(bytes(32 << 20)))
        else:
            with sidefx.service() as service:
                download(service, args.version, args.output)
    except sidefx.SideFXError as error:
        sys.exit(str(error))


def download(service: sidefx.Service, version: str, folder: str) -> None:
    with bar("down") as progress:
        path = sidefx.download_build(service, "houdini", version, directory=folder, progress=progress)
    print(path.name)


def upload(service: sidefx.Service, scene: io.BytesIO) -> None:
    with bar("up") as progress:
        size = service.scenes.upload(scene=sidefx.File(scene, name="shot.hip", progress=progress))
    print(f"The server has {size:,} bytes of shot.hip")


if __name__ == "__main__":
    main()
