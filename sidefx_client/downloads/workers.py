"""One file over several connections at a time, each of which fetches one piece of it after the other.

Pieces are handed out in their order to threads, which write them where they belong. What a partial promises holds
all the time: its first ``size`` bytes are there. Its note says so to a run after a kill, what lies behind them is cut
off at the end, and no thread runs far ahead of them. Hashing, notes and progress are left to the caller's thread.
"""

from __future__ import annotations

import threading
import time
from typing import BinaryIO

import requests

from ..atomic import write_all
from ..errors import TransportError
from ..log import logger
from ..progress import INTERVAL, Progress
from ..transport.response import ResponseBody, content_length
from .hashing import Hasher
from .headers import content_range, validator_matches
from .partial import Note, Partial
from .patience import Busy, Patience
from .remote import Remote

_PIECES = 4  # for each connection, where the limits below allow it
_SMALLEST, _LARGEST = 1 << 20, 16 << 20  # bytes: each piece costs a round trip, and a cut what lies behind a hole
_BLOCK = 64 * 1024  # bytes: each connection holds one
_STEP = 8 << 20  # bytes hashed between two reports of progress
_GRACE = 1.0  # seconds for the threads to end: one that is still connecting ends by itself, and writes nothing


def piece_size(left: int | None, connections: int) -> int:
    """Bytes of a piece where ``left`` bytes are missing, or nobody knows how many."""
    return max(_SMALLEST, min(_LARGEST, (left or 0) // (connections * _PIECES)))


class _Piece:
    """The bytes from ``at``, the first one that is missing, to before ``end``."""

    def __init__(self, at: int, end: int) -> None:
        self.at = at
        self.end = end


class _Unexpected(Exception):
    """An answer that is not the part that was asked for."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Ranges:
    """Fetches what is missing of ``partial``, of ``total`` bytes; ``backoff`` is that of each thread's patience."""

    def __init__(self, remote: Remote, partial: Partial, total: int, connections: int, backoff: float) -> None:
        assert partial.note is not None
        self._remote = remote
        self._partial = partial
        self._note: Note = partial.note
        self._total = total
        self._backoff = backoff
        self._piece = piece_size(total - partial.size, connections)
        self._window = 2 * connections * self._piece
        self._running = connections
        self._handed_out = self._received = partial.size
        self._unfinished: list[_Piece] = []
        self._given_back: list[_Piece] = []
        self._failure: BaseException | None = None
        self._over = False
        self._changed = threading.Condition()  # of all the above

    def fetch(self, response: requests.Response, end: int, hasher: Hasher, steps: Progress) -> int | None:
        """Goes on with ``response``, which brings what is missing up to ``end``.

        None once the file is whole, else the status of an answer that was not the part asked for. Raises DownloadError,
        OSError for the disk, and what ``steps`` raises.
        """
        self._partial.describe(self._note._replace(good=self._partial.size))
        first = (self._hand_out(end), response)
        threads = [
            threading.Thread(target=self._work, args=given, name="sidefx_client range", daemon=True)
            for given in [first, *[(None, None)] * (self._running - 1)]
        ]
        try:
            for thread in threads:
                thread.start()
            while self._goes_on():
                self._take_stock(hasher)
                steps.at(self._received)
        finally:
            self._stop(threads)
            late = any(thread.is_alive() for thread in threads)
            response.close()
            self._partial.truncate(self._good)
            self._partial.describe(self._note._replace(good=self._good if late else None))
        self._remote.cut(False)
        hasher.catch_up(self._partial.file, self._partial.size)
        if isinstance(self._failure, _Unexpected):
            return self._failure.status
        if self._failure is not None:
            raise self._failure
        return None

    @property
    def _good(self) -> int:
        """Up to where all the bytes are there."""
        return min((piece.at for piece in self._unfinished), default=self._handed_out)

    def _hand_out(self, end: int) -> _Piece:
        piece = _Piece(self._handed_out, end)
        self._unfinished.append(piece)
        self._handed_out = end
        return piece

    def _goes_on(self) -> bool:
        with self._changed:
            if self._running and self._failure is None and self._good < self._partial.size + _STEP:
                self._changed.wait(INTERVAL)
            return self._running > 0 and self._failure is None

    def _take_stock(self, hasher: Hasher) -> None:
        with self._changed:
            good = min(self._good, self._partial.size + _STEP)
        hasher.catch_up(self._partial.file, good)
        self._partial.size = good
        self._partial.describe(self._note._replace(good=good))

    def _stop(self, threads: list[threading.Thread]) -> None:
        with self._changed:
            self._over = True
            self._changed.notify_all()
        self._remote.cut(True)
        deadline = time.monotonic() + _GRACE
        for thread in threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self, piece: _Piece | None, response: requests.Response | None) -> None:
        """What each thread runs: one piece after the other, until none is left."""
        try:
            with open(self._partial.path, "r+b", buffering=0) as file:
                piece = piece or self._next()
                while piece is not None and self._fill(piece, file, response):
                    piece, response = self._next(), None
        except BaseException as error:  # noqa: BLE001 (raised again by the caller's thread)
            with self._changed:
                self._failure = self._failure or error
                self._running -= 1
                self._changed.notify_all()

    def _next(self) -> _Piece | None:
        """The next piece to fetch, once it is near enough to what is there; None: the thread is not needed any more."""
        with self._changed:
            while not self._over:
                if self._given_back:
                    return self._given_back.pop()
                start = self._handed_out
                if start == self._total:
                    break
                if start < self._good + self._window:
                    return self._hand_out(min(self._total, start + self._piece))
                self._changed.wait()
            self._running -= 1
            self._changed.notify_all()
            return None

    def _fill(self, piece: _Piece, file: BinaryIO, response: requests.Response | None) -> bool:
        """Makes the piece whole; False where the thread has to end."""
        patience = Patience(self._backoff, self._received)
        file.seek(piece.at)
        while True:
            failure = self._receive(piece, file, response)
            response = None
            with self._changed:
                if self._over:
                    return False
                if failure is None:
                    self._unfinished.remove(piece)
                    self._changed.notify_all()
                    return True
                if isinstance(failure, Busy) and self._running > 1:  # it takes no more connections than the others
                    self._given_back.append(piece)
                    self._running -= 1
                    self._changed.notify_all()
                    return False
                wait = patience.wait(failure, self._received)
                logger.warning("download: %s; resumed at byte %d", str(failure), piece.at)
                self._changed.wait_for(lambda: self._over, wait)

    def _receive(self, piece: _Piece, file: BinaryIO, response: requests.Response | None) -> TransportError | None:
        """Writes the body where it belongs; what there is to say where the piece is not whole then."""
        try:
            response = response or self._remote.ask(piece.at, piece.end, self._note.validator)
            if not self._is_part(response, piece):
                response.close()
                raise _Unexpected(response.status_code)
        except TransportError as error:
            return error
        with ResponseBody(response, decoded=False) as body:
            while True:
                try:
                    block = body.read(_BLOCK)
                except TransportError as error:
                    return error
                if not block or self._over:
                    return None if piece.at == piece.end else TransportError("a part of the file ended too early")
                if piece.at + len(block) > piece.end:
                    raise _Unexpected(response.status_code)
                write_all(file, block)
                with self._changed:
                    piece.at += len(block)
                    self._received += len(block)

    def _is_part(self, response: requests.Response, piece: _Piece) -> bool:
        return (
            response.status_code == 206
            and content_range(response.headers) == (piece.at, piece.end, self._total)
            and content_length(response) in (None, piece.end - piece.at)
            and validator_matches(response.headers, self._note.validator)
        )
