"""A file on a scripted server that records requested ranges and counts sent bytes."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Iterable

from support.scripted import Connection, Request, http_response

MIB = 1 << 20
BLOCK = 1 << 16


def content_of(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


class Served:
    """A step that sends the file, or the range that a request asks for.

    ``headers`` are sent with every response. Each response takes the next of ``cuts``, the number of body bytes to send
    (None: all). After a cut the connection ends, or with ``stalls`` stays silent. ``asked`` lists the Range headers,
    ``sent`` counts body bytes.
    """

    def __init__(
        self,
        content: bytes,
        *,
        headers: dict[str, str] | None = None,
        ranges: bool = True,
        cuts: Iterable[int | None] = (),
        stalls: bool = False,
        pause: float = 0.0,
    ) -> None:
        self.content = content
        self.headers = {"ETag": '"one"'} if headers is None else headers
        self.asked: list[str | None] = []
        self.sent = 0
        self._ranges = ranges
        self._cuts = iter(cuts)
        self._stalls = stalls
        self._pause = pause
        self._lock = threading.Lock()

    def __call__(self, connection: Connection, request: Request) -> None:
        wanted = request.header("Range")
        with self._lock:
            self.asked.append(wanted)
            cut = next(self._cuts, None)
        status, start, end, headers = 200, 0, len(self.content), dict(self.headers)
        state = request.header("If-Range")
        if wanted and self._ranges and state in (None, *headers.values()):
            match = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted)
            assert match, wanted
            start = int(match[1])
            end = min(end, int(match[2]) + 1) if match[2] else end
            if start >= end:
                connection.send(http_response(416, b"", {"Content-Range": f"bytes */{len(self.content)}"}))
                return
            status = 206
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(self.content)}"
        connection.send(http_response(status, b"", {**headers, "Content-Length": str(end - start)}))
        stop = end if cut is None else min(end, start + cut)
        for at in range(start, stop, BLOCK):
            block = self.content[at : min(stop, at + BLOCK)]
            connection.send(block, pause=self._pause)
            with self._lock:
                self.sent += len(block)
        if cut is not None:
            (connection.stall if self._stalls else connection.finish)()

    @property
    def starts(self) -> list[int]:
        """Return the first byte of each requested range."""
        return [int(re.split("[=-]", wanted)[1]) if wanted else 0 for wanted in self.asked]
