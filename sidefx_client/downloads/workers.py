"""Threads that receive the pieces of a file and write them, each over one connection.

Pieces are handed out in order, and no worker runs far ahead of the first hole. Hashing, the resume information and
progress stay with the caller's thread, which reads ``contiguous`` and ``received`` meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections import deque

import requests

from ..errors import CallTimeout, TransportError
from ..log import logger
from ..progress import INTERVAL
from ..transport.response import ResponseBody
from .partial import Partial
from .remote import RangeClient
from .responses import RetryableStatus, RetryBudget, SurplusBytes, UnexpectedResponse, matching_range

BLOCK, _SMALL_BLOCK = 128 * 1024, 64 * 1024  # bytes read at once by a single worker, and by each of several
_WAKE, _MAX_BACKLOG = 4 * BLOCK, 8 * BLOCK  # unhashed bytes that wake the caller; that pause a worker
_PIECES = 4  # for each connection, within these limits
_MIN_PIECE, _MAX_PIECE = 1 << 20, 16 << 20  # bytes: a piece costs a round trip, and a break loses those after a hole
_MIN_SPEED = 1024  # bytes a second
_GRACE = 1.0  # seconds for the threads to end: one that is still connecting ends by itself and writes nothing


def piece_size(missing: int | None, connections: int) -> int:
    """Return the bytes of a piece if ``missing`` bytes are to be received."""
    return max(_MIN_PIECE, min(_MAX_PIECE, (missing or 0) // (connections * _PIECES)))


def first_end(start: int, total: int | None, connections: int) -> int | None:
    """Return the end of the first request, None if one connection requests all the rest."""
    missing = None if total is None else total - start
    piece = piece_size(missing, connections)
    return start + piece if connections > 1 and (missing is None or missing > 2 * piece) else None


class _Piece:
    """The bytes from ``at``, the first missing one, to before ``end`` (None: to the end of the response)."""

    def __init__(self, at: int, end: int | None) -> None:
        self.at = at
        self.end = end


class Workers:
    """``connections`` threads that receive what is missing of ``partial``, of ``total`` bytes (None: unknown).

    A single one hands its blocks over to the caller, who then need not read them from the file to hash them.
    """

    def __init__(
        self, client: RangeClient, partial: Partial, total: int | None, connections: int, backoff: float
    ) -> None:
        self.accepted = 0  # connections that got a response
        self.start = self.received = partial.size
        self.failure: BaseException | None = None
        self._client = client
        self._partial = partial
        self._total = total
        self._backoff = backoff
        self._info = partial.info
        self._single = connections == 1
        self._hands_over = self._single and client.source.md5 is not None
        self._piece = piece_size((total or 0) - partial.size, connections)
        self._window = 2 * connections * self._piece
        self._running = connections
        self._allocated = partial.size
        self._unfinished: list[_Piece] = []
        self._returned: list[_Piece] = []
        self._blocks: deque[tuple[int, bytes]] = deque()
        self._backlog = 0  # bytes of these blocks
        self._stopping = False
        self._changed = threading.Condition()  # guards all the above
        self._threads: list[threading.Thread] = []

    @property
    def contiguous(self) -> int:
        """The bytes from the start of the file up to the first hole."""
        return min((piece.at for piece in list(self._unfinished)), default=self._allocated)

    def begin(self, response: requests.Response, end: int | None) -> None:
        """Start the threads. ``response`` contains the missing bytes up to ``end``, or up to its own end if None."""
        first = self._add_piece(self._total if self._single and end is not None else end)
        others = [(None, None, None)] * (self._running - 1)
        for args in [(first, response, end), *others]:
            thread = threading.Thread(target=self._work, args=args, name="sidefx_client download", daemon=True)
            thread.start()
            self._threads.append(thread)

    def wait(self, *, behind: bool) -> bool:
        """Wait for new bytes, but not if the caller is ``behind``. Return False once all workers have ended."""
        with self._changed:
            if self._is_busy() and not behind and self._backlog < _WAKE:
                self._changed.wait(INTERVAL)
            return self._is_busy()

    def block_at(self, offset: int) -> bytes | None:
        """Return the block that starts at ``offset`` if it was handed over."""
        with self._changed:
            while self._blocks and self._blocks[0][0] <= offset:
                start, block = self._blocks.popleft()
                self._backlog -= len(block)
                self._changed.notify_all()
                if start == offset:
                    return block
            return None

    def stop(self) -> bool:
        """End all threads. Return False if one is late."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._client.abort(True)
        deadline = time.monotonic() + _GRACE
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _is_busy(self) -> bool:
        return self._running > 0 and self.failure is None

    def _work(self, piece: _Piece | None, response: requests.Response | None, end: int | None) -> None:
        budget = RetryBudget(self._backoff)
        try:
            if response is not None:
                self._client.adopt()
            piece = piece or self._allocate()
            while piece is not None and self._fetch(piece, response, end, budget):
                piece, response = self._allocate(), None
        except BaseException as error:  # noqa: BLE001 (raised by the caller's thread)
            with self._changed:
                self.failure = self.failure or error
                self._changed.notify_all()

    def _allocate(self) -> _Piece | None:
        """Return the next piece once it is near enough to the first hole. None ends the worker."""
        with self._changed:
            while not self._stopping:
                if self._returned:
                    return self._returned.pop()
                if self._total is None or self._allocated >= self._total:
                    break
                if self._allocated < self.contiguous + self._window:
                    return self._add_piece(min(self._total, self._allocated + self._piece))
                self._changed.wait()
            self._running -= 1
            self._changed.notify_all()
            return None

    def _add_piece(self, end: int | None) -> _Piece:
        piece = _Piece(self._allocated, end)
        self._unfinished.append(piece)
        self._allocated = end or self._allocated
        return piece

    def _fetch(self, piece: _Piece, response: requests.Response | None, end: int | None, budget: RetryBudget) -> bool:
        """Complete the piece. Return False if this worker has to end."""
        while True:
            before = piece.at
            failure = self._receive(piece, response, end)
            self._client.release()
            response = None
            with self._changed:
                self.accepted += piece.at > before and budget.received == 0
                budget.received += piece.at - before
                if piece.at == piece.end:
                    self._unfinished.remove(piece)
                    self._changed.notify_all()
                    return True
                is_refused = piece.at == before and self._running > 1 and _is_refusal(failure, budget)
                if is_refused:
                    self._returned.append(piece)
                    self._running -= 1
                    self._changed.notify_all()
            if isinstance(failure, UnexpectedResponse) and (self._stopping or not self._single):
                failure.unread.close()
            if self._stopping or is_refused:
                return False
            if failure is None:  # the server sends less than the whole range at once
                continue
            if isinstance(failure, UnexpectedResponse) or self._info is None or piece.end is None:
                raise failure
            wait = budget.wait(failure)
            logger.warning("download: %s; resumed at byte %d", str(failure), piece.at)
            with self._changed:
                self._changed.wait_for(lambda: self._stopping, wait)

    def _receive(self, piece: _Piece, response: requests.Response | None, end: int | None) -> TransportError | None:
        """Write a response that contains the bytes from ``piece.at`` to ``end``. Return an error if incomplete."""
        try:
            if response is None:
                response = self._client.request(piece.at, None if self._single else piece.end, self._info)
                found = matching_range(response, piece.at, piece.end, self._total)
                if found is None or not self._client.is_same_version(response, self._info):
                    return UnexpectedResponse(response)
                end = found.end
            body = ResponseBody(response, decoded=False)
        except TransportError as error:
            return error
        limit = end or self._total
        patience, seconds, since = 0.9 * self._client.timeout[1], 0.0, piece.at
        with body:
            while not self._stopping:
                started = time.monotonic()
                try:
                    block = body.read(BLOCK if self._single else _SMALL_BLOCK)
                except TransportError as error:
                    return error
                seconds += time.monotonic() - started
                if limit is not None and piece.at + len(block) > limit:
                    return SurplusBytes(response, f"the server sent more than the {limit} bytes of the file")
                if not block:
                    break
                self._partial.write(piece.at, block)
                self._count(piece, block)
                if seconds > patience:
                    if piece.at - since < _MIN_SPEED * patience:
                        return CallTimeout(f"less than {_MIN_SPEED} bytes a second for {seconds:.0f} s", True)
                    seconds, since = 0.0, piece.at
        if end is None and not self._stopping:
            piece.end = self._allocated = self._total = piece.at
        return None if piece.at == end or end is None else TransportError("the response is truncated", True)

    def _count(self, piece: _Piece, block: bytes) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._backlog < _MAX_BACKLOG)
            if self._hands_over:
                self._blocks.append((piece.at, block))
                self._backlog += len(block)
            piece.at += len(block)
            self.received += len(block)
            if self._backlog >= _WAKE:
                self._changed.notify_all()


def _is_refusal(failure: TransportError | None, budget: RetryBudget) -> bool:
    """Return whether the server seems to accept fewer connections than there are."""
    if isinstance(failure, UnexpectedResponse):
        return failure.is_refusal
    return isinstance(failure, RetryableStatus) or budget.received == 0 or budget.attempts > 1
