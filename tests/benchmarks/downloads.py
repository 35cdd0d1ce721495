"""Downloads to a file with verified MD5, over a fast, a slow and an interrupted connection."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from line import Line
from measure import OURS, Meter, Sample, Workload
from servers import Stage

Fetch = Callable[[Stage, Meter, str, str, int], object]  # arguments: URL, target, size in MiB; verifies the MD5


def ours(stage: Stage, meter: Meter, url: str, target: str, mib: int, connections: int = 1) -> None:
    import sidefx_client as sidefx

    sidefx.download_file(url, target, size=mib << 20, md5=stage.md5[mib], connections=connections)


def curl(stage: Stage, meter: Meter, url: str, target: str, mib: int) -> None:
    meter.program("curl", "-sS", "--fail", "-o", target, url)
    same(meter.program("md5sum", target).split()[0], stage.md5[mib])


def curl_continued(stage: Stage, meter: Meter, url: str, target: str, mib: int) -> None:
    """Run curl twice, because the first attempt is interrupted."""
    with contextlib.suppress(RuntimeError):
        meter.program("curl", "-sS", "--fail", "-o", target, url)
    meter.program("curl", "-sS", "--fail", "-C", "-", "-o", target, url)
    same(meter.program("md5sum", target).split()[0], stage.md5[mib])


def recipe(stage: Stage, meter: Meter, url: str, target: str, mib: int) -> None:
    """Download by the vendor's recipe: requests and copyfileobj, then the MD5 in reads of 4 KiB."""
    import requests

    with requests.get(url, stream=True) as response, open(target, "wb") as file:
        shutil.copyfileobj(response.raw, file)
    digest = hashlib.md5(usedforsecurity=False)
    with open(target, "rb") as file:
        while block := file.read(4096):
            digest.update(block)
    same(digest.hexdigest(), stage.md5[mib])


def recipe_again(stage: Stage, meter: Meter, url: str, target: str, mib: int) -> None:
    """Run the recipe twice. It does not resume, so it starts again at the first byte."""
    import urllib3

    with contextlib.suppress(urllib3.exceptions.HTTPError, OSError, RuntimeError):
        recipe(stage, meter, url, target, mib)
    recipe(stage, meter, url, target, mib)


def aria2(stage: Stage, meter: Meter, url: str, target: str, mib: int) -> None:
    folder, name = os.path.split(target)
    options = [f"--ca-certificate={stage.bundle}", "-x8", "-s8", "-k1M", "--file-allocation=none", "--quiet"]
    meter.program("aria2c", *options, f"--checksum=md5={stage.md5[mib]}", "-d", folder, "-o", name, url)


def wget2(stage: Stage, meter: Meter, url: str, target: str, mib: int) -> None:
    meter.program("wget2", "-q", f"--ca-certificate={stage.bundle}", "-O", target, url)
    same(meter.program("md5sum", target).split()[0], stage.md5[mib])


def pyreqwest(stage: Stage, meter: Meter, url: str, target: str, mib: int) -> None:
    """Hash the blocks as they arrive, in one thread."""
    from pyreqwest.client import SyncClientBuilder  # type: ignore[import-not-found,unused-ignore]

    digest = hashlib.md5(usedforsecurity=False)
    with open(stage.bundle, "rb") as bundle:
        builder = SyncClientBuilder().add_root_certificate_pem(bundle.read())
    with builder.build() as client, open(target, "wb") as file:
        with client.get(url).error_for_status(True).build_streamed() as response:
            while block := response.body_reader.read(1 << 18):
                file.write(block)
                digest.update(block)
    same(digest.hexdigest(), stage.md5[mib])


def same(found: str, promised: str) -> None:
    if found != promised:
        raise RuntimeError(f"MD5 {found}, promised {promised}")


def fast(fetch: Fetch) -> Callable[[Stage], Sample]:
    """Measure the full size from loopback."""
    return lambda stage: measured(fetch, stage, stage.base, stage.size)


def slow(fetch: Fetch) -> Callable[[Stage], Sample]:
    """Measure a quarter of the size over the slow line."""
    return lambda stage: measured(fetch, stage, stage.far, stage.size // 4)


def measured(fetch: Fetch, stage: Stage, base: str, mib: int) -> Sample:
    """Return the sample of a download. The peak is relative to the process after a download of 1 MiB."""
    with target(stage) as path:
        fetch(stage, Meter(), stage.url(1), path, 1)
    meter = Meter()
    with target(stage) as path:
        return meter.measure(fetch, stage, meter, stage.url(mib, base), path, mib)


def cut(fetch: Fetch) -> Callable[[Stage], Sample]:
    """Interrupt the connection at half of the file, and measure the bytes received after that, relative to the file."""

    def run(stage: Stage) -> Sample:
        mib = stage.size // 4
        half = mib << 19
        with Line(urlsplit(stage.base).port or 0, cut_after=half) as line, target(stage) as path:
            fetch(stage, Meter(), stage.url(mib, f"https://localhost:{line.port}"), path, mib)
            return {"sent_again": (line.down - half) / (mib << 20)}

    return run


@contextlib.contextmanager
def target(stage: Stage) -> Iterator[str]:
    path = os.path.join(stage.out, "download.bin")
    try:
        yield path
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


WORKLOADS = {
    "download": Workload(
        title="Download {size} MiB over TLS, MD5 verified",
        contenders={
            OURS: fast(ours),
            "curl, md5sum": fast(curl),
            "vendor's recipe": fast(recipe),
            "wget2, md5sum": fast(wget2),
            "pyreqwest": fast(pyreqwest),
        },
        needs={"curl, md5sum": "curl", "wget2, md5sum": "wget2", "pyreqwest": "pyreqwest"},
        metric="wall_s",
    ),
    "slow line": Workload(
        title="Download {quarter} MiB, 80 ms round trip, 4 MiB/s per connection",
        contenders={
            OURS: slow(ours),
            f"{OURS}, connections=8": slow(functools.partial(ours, connections=8)),
            "aria2c -x8 -s8": slow(aria2),
        },
        needs={"aria2c -x8 -s8": "aria2c"},
        metric="wall_s",
    ),
    "resume": Workload(
        title="Download {quarter} MiB, the line cut at 50 %",
        contenders={OURS: cut(ours), "curl -C -, md5sum": cut(curl_continued), "vendor's recipe": cut(recipe_again)},
        needs={"curl -C -, md5sum": "curl"},
        metric="sent_again",
    ),
}
