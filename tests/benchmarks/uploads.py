"""Uploads of one multipart file from disk over TLS on loopback, compared by client CPU."""

from __future__ import annotations

import http.client
import json
import os
import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

from measure import OURS, Meter, Sample, Workload
from servers import Stage

CALL = '["files.put", [], {}]'
BOUNDARY = "benchmark-8a6f31c2"

Upload = Callable[[str], object]  # takes a path, returns the size that the server received


def ours(stage: Stage) -> Upload:
    import sidefx_client as sidefx

    service = sidefx.service("id", "secret", f"{stage.base}/token", f"{stage.base}/api/", timeout=None)
    return lambda path: service.files.put(file=sidefx.File(path))["received"]


def bare(stage: Stage) -> Upload:
    """Upload by http.client in blocks of 256 KiB, the lower bound in Python."""
    port = urlsplit(stage.base).port
    context = ssl.create_default_context(cafile=stage.bundle)
    connection = http.client.HTTPSConnection("localhost", port, context=context, blocksize=1 << 18)

    def upload(path: str) -> object:
        head = (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="json"\r\n\r\n{CALL}\r\n'
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{os.path.basename(path)}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()
        tail = f"\r\n--{BOUNDARY}--\r\n".encode()
        with open(path, "rb", buffering=0) as file:
            connection.putrequest("POST", "/api/")
            connection.putheader("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")
            connection.putheader("Content-Length", str(len(head) + os.path.getsize(path) + len(tail)))
            connection.endheaders(head)
            connection.send(file)
            connection.send(tail)
        return json.loads(connection.getresponse().read())["received"]

    return upload


def whole_in_memory(stage: Stage) -> Upload:
    """Upload by `files=` of requests, like the vendor's wrapper. It builds the body in memory."""
    import requests

    session = requests.Session()

    def upload(path: str) -> object:
        with open(path, "rb") as file:
            return session.post(f"{stage.base}/api/", data={"json": CALL}, files={"file": file}).json()["received"]

    return upload


def upload_with(prepare: Callable[[Stage], Upload]) -> Callable[[Stage], Sample]:
    """Measure an upload. The peak is relative to the process after an upload of 1 MiB."""

    def run(stage: Stage) -> Sample:
        upload = prepare(stage)

        def checked(mib: int) -> None:
            if int(str(upload(stage.file(mib)))) <= mib << 20:
                raise RuntimeError(f"the server received less than {mib} MiB")

        checked(1)
        return Meter().measure(checked, stage.size)

    return run


def curl(stage: Stage) -> Sample:
    meter = Meter()
    parts = ["-F", f"json={CALL}", "-F", f"file=@{stage.file(stage.size)};type=application/octet-stream"]
    return meter.measure(meter.program, "curl", "-sS", "--fail", *parts, f"{stage.base}/api/")


WORKLOADS = {
    "upload": Workload(
        title="Upload {size} MiB as multipart over TLS",
        contenders={
            OURS: upload_with(ours),
            "http.client, 256 KiB": upload_with(bare),
            "requests, files=": upload_with(whole_in_memory),
            "curl -F": curl,
        },
        needs={"curl -F": "curl"},
        metric="cpu_s",
    )
}
