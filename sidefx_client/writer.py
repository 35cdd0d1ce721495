"""Writes and hashes blocks on a thread of its own, while the next ones are still being received."""

from __future__ import annotations

import queue
import threading
from typing import Any, BinaryIO

from .storage import write_all

_WAITING = 4  # blocks: what the disk may lag behind the line


class Writer:
    """Takes blocks in their order; ``digest`` is a hashlib object, or None.

    Used with ``with``, at whose end all that was given is in the file. An OSError of the disk is raised by the next
    ``write``, or at the end.
    """

    def __init__(self, file: BinaryIO, digest: Any) -> None:
        self._file = file
        self._digest = digest
        self._blocks: queue.Queue[bytes | None] = queue.Queue(_WAITING)
        self._failure: OSError | None = None
        self._thread = threading.Thread(target=self._work, name="sidefx_client writer", daemon=True)

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def write(self, block: bytes) -> None:
        if self._failure is not None:
            raise self._failure
        self._blocks.put(block)

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._blocks.put(None)
        self._thread.join()
        if self._failure is not None and kind is None:
            raise self._failure

    def _work(self) -> None:
        while (block := self._blocks.get()) is not None:
            if self._failure is not None:
                continue  # the end is still to come, and the queue must not fill up before it
            try:
                write_all(self._file, block)
                if self._digest is not None:
                    self._digest.update(block)
            except OSError as error:
                self._failure = error
