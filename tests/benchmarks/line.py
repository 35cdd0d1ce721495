"""A TCP forwarder on loopback with a round-trip time, a rate limit and an optional interruption."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading

BLOCK = 1 << 16  # bytes; at 4 MiB/s a block takes 16 ms
IN_FLIGHT = 64  # blocks held per direction before the sender waits

Blocks = asyncio.Queue[tuple[float, bytes]]  # time of arrival and data; b"" is the end


class Line:
    """A forwarder in a thread: `with Line(port, rtt=0.08, rate=4 << 20) as line:` forwards `line.port` to `port`.

    `rtt` is in seconds, `rate` in bytes per second for each connection and direction, None for unlimited. After
    `cut_after` bytes towards the client, their connection is closed once. `down` counts bytes towards the client.
    """

    def __init__(self, target: int, *, rtt: float = 0.0, rate: int | None = None, cut_after: int = sys.maxsize) -> None:
        self.target, self.rtt, self.rate, self.cut_after = target, rtt, rate, cut_after
        self.port = self.down = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="slow line", daemon=True)

    def __enter__(self) -> Line:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    async def _run(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._end.wait()
        server.close()

    async def _connection(self, near: asyncio.StreamReader, to_near: asyncio.StreamWriter) -> None:
        far, to_far = await asyncio.open_connection("127.0.0.1", self.target)
        up, down = Blocks(IN_FLIGHT), Blocks(IN_FLIGHT)
        receivers = [self._receive(near, up), self._receive(far, down, counted=True)]
        receiving = [self._loop.create_task(receive) for receive in receivers]
        sending = [self._loop.create_task(send) for send in (self._send(up, to_far), self._send(down, to_near))]
        # asyncio would log a handler that ends by cancellation.
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED)
        for task in receiving + sending:
            task.cancel()
        to_near.close()
        to_far.close()

    async def _receive(self, source: asyncio.StreamReader, blocks: Blocks, counted: bool = False) -> None:
        opened = 0.0
        with contextlib.suppress(ConnectionError):
            while block := await source.read(BLOCK):
                if counted:
                    block = block[: self.cut_after - self.down]
                    self.down += len(block)
                # The kernel has accepted the connection, so its first bytes are delayed by the handshake's round trip.
                opened = opened or self._loop.time() + (0.0 if counted else self.rtt)
                await blocks.put((max(self._loop.time(), opened) + self.rtt / 2, block))
                if counted and self.down == self.cut_after:
                    self.cut_after = sys.maxsize
                    break
        await blocks.put((0, b""))

    async def _send(self, blocks: Blocks, to: asyncio.StreamWriter) -> None:
        free = 0.0  # time at which the line has sent the previous blocks
        with contextlib.suppress(ConnectionError):
            while True:
                due, block = await blocks.get()
                if not block:
                    break
                due = max(due, free)
                await asyncio.sleep(due - self._loop.time())
                free = due + len(block) / self.rate if self.rate else due
                to.write(block)
                await to.drain()
