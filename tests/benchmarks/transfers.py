"""Uploads of a multipart file, and downloads with verified MD5 over a fast, a slow and an interrupted connection."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.client
import itertools
import json
import os
import shutil
import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

from line import Line
from measure import OURS, Meter, Sample, Workload
from servers import Stage

CALL = '["files.put", [], {}]'

Upload = Callable[[str], object]  # takes a path, returns the size that the server received
Fetch = Callable[[Stage, Meter, str, str, int], object]  # arguments: URL, target, size in MiB; verifies the MD5


def upload(prepare: Callable[[Stage], Upload]) -> Callable[[Stage], Sample]:
    """Measure an upload. The peak is relative to the process after an upload of 1 MiB."""

    def run(stage: Stage) -> Sample:
        send = prepare(stage)

        def checked(mib: int) -> None:
            if int(str(send(stage.file(mib)))) <= mib << 20:
                raise RuntimeError(f"the server received less than {mib} MiB")

        checked(1)
        return Meter().measure(checked, stage.size)

    return run


def upload_ours(stage: Stage) -> Upload:
    import sidefx_client as sidefx

    service = sidefx.service("id", "secret", f"{stage.base}/token", f"{stage.base}/api/", timeout=None)
    return lambda path: service.files.put(file=sidefx.File(path))["received"]


def upload_bare(stage: Stage) -> Upload:
    """Upload by http.client in blocks of 256 KiB, the lower bound in Python."""
    context = ssl.create_default_context(cafile=stage.bundle)
    connection = http.client.HTTPSConnection("localhost", urlsplit(stage.base).port, context=context)
    part = '--xyz\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}'
    head = (part.format("json", CALL) + "\r\n" + part.format('file"; filename="file', "")).encode()
    tail = b"\r\n--xyz--\r\n"

    def send(path: str) -> object:
        length = str(len(head) + os.path.getsize(path) + len(tail))
        headers = {"Content-Type": "multipart/form-data; boundary=xyz", "Content-Length": length}
        with open(path, "rb", buffering=0) as file:
            blocks = iter(functools.partial(file.read, 1 << 18), b"")
            connection.request("POST", "/api/", itertools.chain([head], blocks, [tail]), headers)
        return json.loads(connection.getresponse().read())["received"]

    return send


def upload_from_memory(stage: Stage) -> Upload:
    """Upload by `files=` of requests, like the vendor's wrapper. It builds the body in memory."""
    import requests

    session = requests.Session()

    def send(path: str) -> object:
        with open(path, "rb") as file:
            return session.post(f"{stage.base}/api/", data={"json": CALL}, files={"file": file}).json()["received"]

    return send


def upload_curl(stage: Stage) -> Sample:
    meter = Meter()
    parts = ["-F", f"json={CALL}", "-F", f"file=@{stage.file(stage.size)};type=application/octet-stream"]
    return meter.measure(meter.program, "curl", "-sS", "--fail", *parts, f"{stage.base}/api/")


# Downloads


def ours(stage: Stage, meter: Meter, url: str, target: str, mib: int, connections: int = 1) -> None:
    import sidefx_client as sidefx

    sidefx.download_file(url, target, size=mib << 20, md5=stage.md5(mib), connections=connections)


def program(*command: str) -> Fetch:
    """Download by a program, which takes the target and the URL as its last arguments, then run md5sum."""

    def fetch(stage: Stage, meter: Meter, url: str, target: str, mib: int) -> None:
        meter.program(*(word.format(bundle=stage.bundle) for word in command), target, url)
        same(meter.program("md5sum", target).split()[0], stage.md5(mib))

    return fetch


def aria2(stage: Stage, meter: Meter, url: str, target: str, mib: int) -> None:
    folder, name = os.path.split(target)
    options = [f"--ca-certificate={stage.bundle}", "-x8", "-s8", "-k1M", "--file-allocation=none", "--quiet"]
    meter.program("aria2c", *options, f"--checksum=md5={stage.md5(mib)}", "-d", folder, "-o", name, url)


def recipe(stage: Stage, meter: Meter, url: str, target: str, mib: int) -> None:
    """Download by the vendor's recipe: requests and copyfileobj, then the MD5 in reads of 4 KiB."""
    import requests

    with requests.get(url, stream=True) as response, open(target, "wb") as file:
        shutil.copyfileobj(response.raw, file)
    digest = hashlib.md5(usedforsecurity=False)
    with open(target, "rb") as file:
        while block := file.read(4096):
            digest.update(block)
    same(digest.hexdigest(), stage.md5(mib))


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
    same(digest.hexdigest(), stage.md5(mib))


def same(found: str, promised: str) -> None:
    if found != promised:
        raise RuntimeError(f"MD5 {found}, promised {promised}")


def twice(first: Fetch, second: Fetch) -> Fetch:
    """Download by ``second`` after ``first`` was interrupted."""

    def fetch(stage: Stage, meter: Meter, url: str, target: str, mib: int) -> None:
        with contextlib.suppress(Exception):
            first(stage, meter, url, target, mib)
        second(stage, meter, url, target, mib)

    return fetch


def measured(fetch: Fetch, *, far: bool = False) -> Callable[[Stage], Sample]:
    """Measure a download from loopback, or of a quarter of the size over the slow line.

    The peak is relative to the process after a download of 1 MiB.
    """

    def run(stage: Stage) -> Sample:
        base, mib = (stage.far, stage.size // 4) if far else (stage.base, stage.size)
        fetch(stage, Meter(), stage.url(1), stage.target, 1)
        os.unlink(stage.target)
        meter = Meter()
        return meter.measure(fetch, stage, meter, stage.url(mib, base), stage.target, mib)

    return run


def cut(fetch: Fetch) -> Callable[[Stage], Sample]:
    """Interrupt the connection at half of the file, and measure the bytes received after that, relative to the file."""

    def run(stage: Stage) -> Sample:
        mib = stage.size // 4
        half = mib << 19
        with Line(urlsplit(stage.base).port or 0, cut_after=half) as line:
            fetch(stage, Meter(), stage.url(mib, f"https://localhost:{line.port}"), stage.target, mib)
            return {"sent_again": (line.down - half) / (mib << 20)}

    return run


CURL = ("curl", "-sS", "--fail")
WORKLOADS: dict[str, Workload] = {
    "upload": Workload(
        title="Upload {size} MiB as multipart over TLS",
        contenders={
            OURS: upload(upload_ours),
            "http.client, 256 KiB": upload(upload_bare),
            "requests, files=": upload(upload_from_memory),
            "curl -F": upload_curl,
        },
        metric="cpu_s",
    ),
    "download": Workload(
        title="Download {size} MiB over TLS, MD5 verified",
        contenders={
            OURS: measured(ours),
            "curl, md5sum": measured(program(*CURL, "-o")),
            "vendor's recipe": measured(recipe),
            "wget2, md5sum": measured(program("wget2", "-q", "--ca-certificate={bundle}", "-O")),
            "pyreqwest": measured(pyreqwest),
        },
        metric="wall_s",
    ),
    "slow line": Workload(
        title="Download {quarter} MiB, 80 ms round trip, 4 MiB/s per connection",
        contenders={
            OURS: measured(ours, far=True),
            f"{OURS}, connections=8": measured(functools.partial(ours, connections=8), far=True),
            "aria2c -x8 -s8": measured(aria2, far=True),
        },
        metric="wall_s",
    ),
    "resume": Workload(
        title="Download {quarter} MiB, the line cut at 50 %",
        contenders={
            OURS: cut(ours),
            "curl -C -, md5sum": cut(twice(program(*CURL, "-o"), program(*CURL, "-C", "-", "-o"))),
            "vendor's recipe": cut(twice(recipe, recipe)),
        },
        metric="sent_again",
    ),
}
