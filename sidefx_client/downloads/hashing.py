"""The MD5 of a file on its way, computed on a thread of its own while the next block is received and written.

It takes about as long as receiving and writing together, and hashlib releases the GIL.
"""

from __future__ import annotations

import hashlib
import queue
import threading
from typing import BinaryIO

from ..transport.connection import BLOCK

_WAITING = 2  # blocks: how far the thread may lag behind


class Hasher:
    """Takes blocks in their order. Used with ``with``, which ends the thread; without ``wanted`` it does nothing."""

    def __init__(self, *, wanted: bool) -> None:
        self._wanted = wanted
        self._blocks: queue.Queue[bytes | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._work, name="sidefx_client MD5", daemon=True)
        self._begin()

    def __enter__(self) -> Hasher:
        if self._wanted:
            self._thread.start()
        return self

    def update(self, block: bytes) -> None:
        if self._wanted:
            self._count += len(block)
            self._blocks.put(block)

    def catch_up(self, file: BinaryIO, end: int) -> None:
        """Reads what was not yet given of the first ``end`` bytes of the file, and leaves the file there."""
        if self._wanted:
            file.seek(self._count)
            while block := file.read(min(BLOCK, end - self._count)):
                self.update(block)
        file.seek(end)

    def restart(self) -> None:
        self._blocks.join()
        self._begin()

    def hexdigest(self) -> str:
        """That of all the blocks."""
        self._blocks.join()
        return self._md5.hexdigest()

    def __exit__(self, *exc_info: object) -> None:
        if self._wanted:
            self._blocks.put(None)
            self._thread.join()

    def _begin(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._count = 0

    def _work(self) -> None:
        while (block := self._blocks.get()) is not None:
            self._md5.update(block)
            self._blocks.task_done()
