"""Upload a large file in chunks, and resume after an interruption.

    python examples/chunked_upload.py package.json README.md package.zip
    python examples/chunked_upload.py --local          with a server on this machine: no account needed
    python examples/chunked_upload.py --local --cut    the same, but the connection breaks in the middle

The functions are those of SideFX's package tool, the only public use of uploads. A chunk is never sent twice by the
client itself. After a broken connection only the server knows which bytes it has, so ask it, and continue there.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import sidefx_client as sidefx

if TYPE_CHECKING:
    from sidefx_client.testing import LocalServer, Upload

CHUNK = 640 * 1024  # bytes
ATTEMPTS = 5


def main() -> None:
    needed = "?" if "--local" in sys.argv else None
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", nargs=needed, type=Path, help="the package's JSON file")
    parser.add_argument("readme", nargs=needed, type=Path, help="its README")
    parser.add_argument("archive", nargs=needed, type=Path, help="its zip file")
    parser.add_argument("--local", action="store_true", help="use a server on this machine")
    parser.add_argument("--cut", action="store_true", help="with --local: break the connection in the middle")
    args = parser.parse_args()
    try:
        if args.local:
            from sidefx_client.testing import LocalServer

            with LocalServer() as server, server.service() as service:
                register_functions(server, args.cut)
                upload(service, {"name": "sample"}, "A sample.", io.BytesIO(bytes(4 << 20)))
        else:
            package = json.loads(args.package.read_text(encoding="utf-8"))
            readme = args.readme.read_text(encoding="utf-8")
            with sidefx.service() as service, args.archive.open("rb") as archive:
                upload(service, package, readme, archive)
    except (sidefx.SideFXError, OSError) as error:
        sys.exit(str(error))


def upload(service: sidefx.Service, package: dict[str, Any], readme: str, archive: BinaryIO) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            upload_missing(service, package, readme, archive)
            print("The server has the whole file.")
            return
        except sidefx.TransportError as error:
            if attempt == ATTEMPTS:
                raise
            print(f"{error}. Resuming.")


def upload_missing(service: sidefx.Service, package: dict[str, Any], readme: str, archive: BinaryIO) -> None:
    size = archive.seek(0, io.SEEK_END)
    begun = service.hpack.start_upload(package, readme, size, md5(archive, size))
    done = begun["partial_upload_size"]
    if md5(archive, done) != begun["partial_upload_md5_checksum"]:
        done = 0  # the server has the beginning of another file
    archive.seek(done)
    while chunk := archive.read(CHUNK):
        state = service.hpack.upload_chunk(begun["token"], done, data=chunk)
        done += len(chunk)
        if (state["uploaded"], state["expecting"]) != (done, size):
            raise sidefx.SideFXError(f"the server has {state['uploaded']} bytes, expected {done} of {size}")
        print(f"{done >> 10:6} of {size >> 10} KiB")


def md5(file: BinaryIO, size: int) -> str:
    """Return the MD5 in hex of the first ``size`` bytes."""
    digest = hashlib.md5(usedforsecurity=False)
    file.seek(0)
    while size and (block := file.read(min(size, CHUNK))):
        digest.update(block)
        size -= len(block)
    return digest.hexdigest()


def register_functions(server: LocalServer, cut: bool) -> None:
    """Give the local server the two functions. With ``cut`` the connection breaks at the fourth chunk."""
    received = bytearray()
    expected: list[int] = []

    @server.register("hpack.start_upload")
    def start_upload(package: dict[str, Any], readme: str, size: int, checksum: str) -> dict[str, Any]:
        expected[:] = [size]
        partial = hashlib.md5(received, usedforsecurity=False).hexdigest()
        return {"token": "1", "partial_upload_size": len(received), "partial_upload_md5_checksum": partial}

    @server.register("hpack.upload_chunk")
    def upload_chunk(token: str, index: int, data: Upload) -> dict[str, int]:
        received[index:] = data.data
        if cut and index == 2 * CHUNK:
            server.drop(function="hpack.upload_chunk")
        return {"uploaded": len(received), "expecting": expected[0]}


if __name__ == "__main__":
    main()
