"""Threads that receive the pieces of a file, each over one connection.

Pieces are handed out in order, and no worker runs far ahead of the first hole. The caller's thread takes the received
blocks, writes and hashes them. So receiving overlaps with both, and only one thread works on the file.
"""

from __future__ import annotations

import threading
import time

import requests

from ..errors import CallTimeout, DownloadError, TransportError, logger
from ..retry import BACKOFF, MAX_RETRY_AFTER
from ..transport.connection import BLOCK
from ..transport.response import ResponseBody
from . import remote
from .partial import Partial
from .remote import Piece, RangeClient, UnusableResponse

_BUFFER = 1 << 20  # bytes: received and not yet written; half of it wakes the caller's thread
_PIECES = 4  # for each connection, if these limits allow it
_MIN_PIECE, _MAX_PIECE = 1 << 20, 16 << 20  # bytes: a piece costs a round trip, and an abort loses those after a hole
_MIN_SPEED = 1024  # bytes a second
_MAX_ATTEMPTS = 5  # without progress
_ENOUGH = 64 * 1024  # bytes: an attempt that received this many is retried at once
_GRACE = 1.0  # seconds for the threads to end: a thread that is still connecting ends later and writes nothing


def first_piece(start: int, total: int | None, connections: int) -> Piece:
    """Return the piece to request first. For a single connection it is all the rest."""
    size = _piece_size(start, total, connections)
    several = connections > 1 and (total is None or total - start > 2 * size)
    return Piece(start, start + size if several else None)


def _piece_size(start: int, total: int | None, connections: int) -> int:
    return max(_MIN_PIECE, min(_MAX_PIECE, ((total or 0) - start) // (connections * _PIECES)))


class RetryBudget:
    """The attempts and waits of a transfer that starts at byte ``position``."""

    def __init__(self, position: int) -> None:
        self._attempts = 0  # without progress
        self._position = position

    def wait(self, failure: TransportError, position: int, received: int = 0) -> float:
        """Return the seconds until the next attempt. Raise DownloadError after the last one.

        ``received`` counts the bytes of this attempt, because ``position`` may not include them yet.
        """
        if failure.permanent:
            raise failure
        asked: float = getattr(failure, "wait", None) or 0.0
        code: int | None = getattr(failure, "http_code", None)
        if asked > MAX_RETRY_AFTER:
            raise DownloadError(f"{failure}; retry after {asked:.0f} s", code)
        gained, self._position = max(received, position - self._position), max(position, self._position)
        self._attempts = 0 if gained > 0 else self._attempts + 1
        if self._attempts == _MAX_ATTEMPTS:
            raise DownloadError(f"no data received in {self._attempts} attempts: {failure}", code)
        # A timeout was already a wait. A server that refused may still count closed connections, so wait.
        if isinstance(failure, CallTimeout) or (gained >= _ENOUGH and not isinstance(failure, UnusableResponse)):
            return asked
        return max(asked, BACKOFF * 2.0 ** max(0, self._attempts - 1))


class Workers:
    """Threads that receive the missing bytes of ``partial``, up to ``total`` (None: unknown).

    ``first`` is a piece with a response. If more is missing, there are ``count`` threads, otherwise one. A single
    thread leaves retries to the caller. ``written`` bytes are in the file, ``contiguous`` of them before a hole.
    """

    def __init__(self, client: RangeClient, partial: Partial, first: Piece, total: int | None, count: int) -> None:
        self.written = self.contiguous = partial.size
        self.failure: BaseException | None = None
        self._client = client
        self._partial = partial
        self._total = total
        self._budget = RetryBudget(partial.size)
        self._pieces = [first]  # in order: those that are not in the file, and always the last one
        size = _piece_size(first.at, total, count)
        self._window = 2 * count * size
        if count > 1 and total is not None and first.end is not None:
            self._pieces += [Piece(at, min(at + size, total)) for at in range(first.end, total, size)]
        self.several = len(self._pieces) > 1
        self._running = count if self.several else 1
        self._stopping = False
        self._blocks: list[tuple[Piece, memoryview]] = []  # received, and not yet taken
        self._buffered = 0  # bytes in them
        self._changed = threading.Condition()  # guards all the above
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        for _ in range(self._running):
            thread = threading.Thread(target=self._work, name="sidefx_client download", daemon=True)
            thread.start()
            self._threads.append(thread)

    def take(self, seconds: float) -> list[tuple[Piece, memoryview]] | None:
        """Return the received blocks after ``seconds``, or earlier if there are many. Return None after the last ones.

        The caller writes each block at ``piece.written`` and calls ``advance``.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._running <= 0 or self._buffered >= _BUFFER // 2, seconds)
            blocks, self._blocks, self._buffered = self._blocks, [], 0
            self._changed.notify_all()
            return None if self._running <= 0 and not blocks else blocks

    def advance(self, piece: Piece, count: int) -> None:
        """Note that the next ``count`` bytes of the piece are in the file."""
        with self._changed:
            piece.written += count
            self.written += count
            while len(self._pieces) > 1 and self._pieces[0].written == self._pieces[0].end:
                del self._pieces[0]
            self.contiguous = self._pieces[0].written

    def stop(self) -> None:
        """End all threads, and wait for them for up to a second."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for piece in list(self._pieces):
            piece.stop()
        deadline = time.monotonic() + _GRACE
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self) -> None:
        try:
            while piece := self._next_piece():
                while piece.at != piece.end and not self._stopping:
                    if not self._attempt(piece):
                        return
        except BaseException as error:  # noqa: BLE001 (raised by the caller's thread)
            with self._changed:
                self.failure, self._running, self._stopping = self.failure or error, 0, True
                self._changed.notify_all()

    def _next_piece(self) -> Piece | None:
        """Return the next piece once it is near enough to the first hole. None ends the worker."""
        with self._changed:
            while not self._stopping and (piece := next((p for p in self._pieces if not p.is_taken), None)):
                if piece.at <= self.contiguous + self._window:
                    piece.is_taken = True
                    return piece
                self._changed.wait()
            self._running -= 1
            self._changed.notify_all()
            return None

    def _attempt(self, piece: Piece) -> bool:
        """Receive the missing bytes of the piece, or some of them. Return False if this worker has to end."""
        before = piece.at
        try:
            self._receive(piece)
        except (TransportError, DownloadError) as failure:  # DownloadError: a redirect that is refused
            with self._changed:
                # The server may refuse more connections. A response of another file is not such a refusal.
                is_refusal = getattr(failure, "http_code", None) not in (200, 206, 416)
                if piece.at - before < _ENOUGH and self._running > 1 and is_refusal:
                    piece.is_taken = False
                    self._running -= 1
                    self._changed.notify_all()
                    return False
            is_final = isinstance(failure, UnusableResponse) and failure.wait is None
            if is_final or self._stopping or not self.several or not isinstance(failure, TransportError):
                raise
            # Several connections may break at once, so the bytes of each count.
            wait = self._budget.wait(failure, self.written, piece.at - before)
            logger.warning("download: %s; resumed at byte %d", str(failure), piece.at)
            with self._changed:
                self._changed.wait_for(lambda: self._stopping, wait)
        return True

    def _receive(self, piece: Piece) -> None:
        """Receive a response with missing bytes of the piece. Raise TransportError if it is unusable or incomplete."""
        response, piece.response, end = piece.response, None, piece.end
        try:
            if response is None:
                response = self._client.request(piece, self._partial.info)
                found = self._client.usable_range(response, piece, self._total, self._partial)
                if found is None:
                    response.close()
                    raise UnusableResponse(response)
                end = found.end
            self._write(piece, response, self._total if end is None else end)
        finally:
            piece.watch(None)
        if end is None:
            piece.end = piece.at
        elif piece.at != end and not self._stopping:
            raise TransportError("the response is truncated", True)

    def _write(self, piece: Piece, response: requests.Response, limit: int | None) -> None:
        patience, started, before = 0.9 * remote.TIMEOUT[1], time.monotonic(), piece.at
        with ResponseBody(response, decoded=False) as body:
            # Each of several workers holds a block. The repr of a memoryview does not show an echoed signed URL.
            while block := memoryview(body.read(BLOCK if self.several else 2 * BLOCK)):
                if self._stopping:  # the next attempt may have begun, perhaps with another version of the file
                    return
                if limit is not None and piece.at + len(block) > limit:
                    raise UnusableResponse(response, f"the server sent more than the {limit} bytes of the file")
                with self._changed:
                    self._changed.wait_for(lambda: self._stopping or self._buffered < _BUFFER)
                    self._blocks.append((piece, block))
                    self._buffered += len(block)
                    piece.at += len(block)
                    if self._buffered >= _BUFFER // 2:
                        self._changed.notify_all()
                del block  # so that it takes no memory during the next read
                if time.monotonic() - started > patience:
                    if piece.at - before < _MIN_SPEED * patience:
                        raise CallTimeout(f"less than {_MIN_SPEED} bytes a second for {patience:.0f} s", True)
                    started, before = time.monotonic(), piece.at
