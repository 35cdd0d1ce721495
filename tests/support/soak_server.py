"""The server of the soak, run as a process: its responses and faults, and a count of executions."""

from __future__ import annotations

import collections
import json
import random
import sys
import threading
import time
from typing import Any

from support.downloads import md5
from support.scripted import Connection, Request, ScriptedServer, http_response, json_response

SHARE = 0.05  # of the responses
FAULTS = ("429", "503", "401", "unread", "ignored", "executed", "reset", "cut", "late", "surplus")
BREAK = 8 * 1024  # bytes after which each response for every tenth file breaks
LARGEST = 200_000  # bytes of an upload or a stream


def content(number: int) -> bytes:
    """Return the bytes that the call of this number uploads or streams."""
    source = random.Random(number)
    return source.randbytes(source.choice((0, 1, 1000, LARGEST)))


class Played:
    """The step of the server. It counts faults and executions."""

    def __init__(self, seed: int) -> None:
        self.faults: collections.Counter[str] = collections.Counter()
        self.executions: collections.Counter[int] = collections.Counter()
        self._random = random.Random(seed)
        self._lock = threading.Lock()

    def step(self, connection: Connection, request: Request) -> None:
        if request.method == "GET":
            self._send_file(connection, request)
            return
        with self._lock:
            fault = self._random.choice(FAULTS) if self._random.random() < SHARE else None
            self.faults[fault or "none"] += 1
        if fault == "unread":
            connection.close()
            return
        connection.read_body(request)
        if fault in ("429", "503", "401"):
            connection.send(http_response(int(fault), "refused", {"Retry-After": "0"}))
        elif fault == "ignored":
            connection.close()
        else:
            self._execute(connection, request, fault)

    def _execute(self, connection: Connection, request: Request, fault: str | None) -> None:
        (name, (number,), _), uploaded = _read(request)
        with self._lock:
            self.executions[number] += 1
        data = _stream(number) if name.endswith("stream") else json_response([name, number, md5(uploaded)])
        if fault == "executed":
            connection.close()
        elif fault == "reset":
            connection.reset()
        elif fault == "cut":
            connection.send(data[: self._random.randrange(len(data))])
            connection.close()
        elif fault == "surplus":
            connection.send(data + json_response("the response of another call"))
        else:
            time.sleep(0.1 if fault == "late" else 0)
            connection.send(data)

    def _send_file(self, connection: Connection, request: Request) -> None:
        number = int(request.path.rpartition("/")[2])
        data, wanted = content(number), request.header("Range")
        start = int(wanted[6:].partition("-")[0]) if wanted else 0
        breaks = number % 10 == 0 and len(data) - start > BREAK
        with self._lock:
            self.executions[number] += 1
            self.faults["break" if breaks else "none"] += 1
        headers = {"ETag": f'"{number}"', "Content-Length": str(len(data) - start)}
        if wanted:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        head = http_response(206 if wanted else 200, b"", headers)
        connection.send(head + data[start : start + BREAK if breaks else None])
        if breaks:
            connection.finish()


def _read(request: Request) -> tuple[Any, bytes]:
    media, _, boundary = str(request.header("Content-Type")).partition("; boundary=")
    if media != "multipart/form-data":
        return request.call, b""
    _, call, upload, _ = (b"\r\n" + request.body).split(b"\r\n--" + boundary.encode())
    return json.loads(call.partition(b"\r\n\r\n")[2]), upload.partition(b"\r\n\r\n")[2]


def _stream(number: int) -> bytes:
    data, media = content(number), {"Content-Type": "application/octet-stream"}
    if number % 2:
        return http_response(200, data, media)
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (data[:100], data[100:]) if piece)
    return http_response(200, chunks + b"0\r\n\r\n", {**media, "Transfer-Encoding": "chunked"})


def serve(seed: int, tls: str | None) -> None:
    """Print the URLs, serve until stdin ends, and print the report."""
    played = Played(seed)
    with ScriptedServer(played.step, tls=tls) as server:
        server.requests = collections.deque(maxlen=1)  # type: ignore[assignment]  # keep no bodies
        print(json.dumps([server.api_url, server.token_url, server.ca_bundle]), flush=True)
        sys.stdin.read()
    print(json.dumps({"faults": played.faults, "executions": played.executions}))


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2] or None)
