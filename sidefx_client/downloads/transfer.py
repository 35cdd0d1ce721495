"""One download, from the partial file at hand to the verified file in place.

Only requested bytes are appended, and only bytes that can be recognized as the same file are kept.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import requests

from ..errors import ChecksumError, DownloadError, TransportError, logger
from ..progress import Progress, ProgressCallback
from ..transport.response import content_length
from .partial import Partial, PartialLost, ResumeInfo
from .remote import Piece, RangeClient, RemoteFile, UnusableResponse, content_range, status_error, validator
from .workers import RetryBudget, Workers, first_piece

_TICK = 0.05  # seconds between writes of small blocks and of the sidecar
_EXPIRED = (400, 401, 403, 410)  # statuses of a signed URL that has expired


@dataclass
class Transfer:
    """One download to ``target``. ``refresh_url`` returns the file with a new URL if the old one has expired."""

    client: RangeClient
    target: Path
    callback: ProgressCallback | None
    connections: int
    refresh_url: Callable[[], RemoteFile] | None = None

    def run(self, *, private: int = 0) -> None:
        """Download the file. ``private`` is 0 for the shared partial file, and 1 to 5 for private ones."""
        source = self.client.source
        self._progress = Progress(self.callback, source.size)
        self._limit = self.connections  # connections at the same time
        self._range_mismatch_seen = False
        try:
            with Partial(self.target, private=private > 0) as self._partial:
                if not source.can_resume(self._partial.info, self._partial.size):
                    self._partial.restart()
                if self._partial.info and source.size is None:
                    self._progress.total = self._partial.info.total
                self._partial.require_space(self._progress.total)
                self._fetch()
                self._verify()
                self._partial.commit()
        except PartialLost as error:
            # If the file system grants every lock, other processes remove private files as abandoned, so try several.
            if private == 5:
                raise
            logger.warning("download: %s; restarted", str(error))
            self.run(private=private + 1)

    def _fetch(self) -> None:
        """Receive until nothing is missing."""
        partial, budget = self._partial, RetryBudget(self._partial.size)
        while self.client.source.md5 is None or partial.size != self.client.source.size:
            try:
                piece = self._open()
                if piece is None or self._receive(piece):
                    return
            except TransportError as failure:
                if self._progress.in_callback:
                    raise
                # Without an info the next attempt starts at 0, so the bytes of this one do not count.
                wait = budget.wait(failure, partial.size if partial.info else 0)
                logger.warning("download: %s; resumed at byte %d", str(failure), partial.size)
                self.client.session.wait(wait)

    def _open(self) -> Piece | None:
        """Return the next piece, with a response that contains it. Return None if nothing is missing."""
        partial, is_refreshed = self._partial, False
        while True:
            if partial.size and not partial.info:  # the rest could belong to another version of the file
                partial.restart()
            piece = first_piece(partial.size, self._progress.total, self._limit)
            response = piece.response = self.client.request(piece, partial.info)
            status, found = response.status_code, content_range(response.headers)
            with contextlib.ExitStack() as unused:
                unused.callback(response.close)
                if self._accept(response, piece):
                    unused.pop_all()
                    return piece
            if status == 416 and found and found.total == partial.size and (partial.size or piece.end):
                return None
            if status in _EXPIRED and self.refresh_url and not is_refreshed:
                is_refreshed, self._limit = True, self.connections
                old, self.client.source = self.client.source, self.refresh_url()
                if (old.size, old.md5) != (self.client.source.size, self.client.source.md5):
                    partial.restart()
                    self._progress.total = self.client.source.size
            elif status in (206, 416) and not self._range_mismatch_seen:
                self._range_mismatch_seen = True
                self._limit = 1
                partial.restart()
            else:
                raise status_error(response, ", not with the requested range" if status in (206, 416) else "")

    def _accept(self, response: requests.Response, piece: Piece) -> bool:
        """Return whether the response contains the piece or the whole file. If so, save the info to recognize it."""
        partial, source = self._partial, self.client.source
        is_whole = response.status_code == 200
        if is_whole:
            length = content_length(response)
            if length is not None and source.size not in (None, length):
                raise DownloadError(f"the server has a file of {length} bytes, expected {source.size}")
            if length is None and source.size is not None and "text/html" in response.headers.get("Content-Type", ""):
                raise DownloadError("the server sent a web page instead of the file", response.status_code)
            partial.restart()
            total = source.size if length is None else length
            # A complete chunked body is the whole file, even if its size is not the expected one.
            piece.at, piece.written, piece.end = 0, 0, None if "Transfer-Encoding" in response.headers else total
        else:
            found = self.client.usable_range(response, piece, self._progress.total, partial)
            if found is None or (piece.at == 0 and piece.end is None):
                return False
            piece.end, total = found.end, found.total
        self._progress.total = total
        partial.require_space(total)
        state = validator(response.headers)
        if partial.info is None and (state or source.md5):  # otherwise it cannot be resumed
            partial.save(ResumeInfo(source.url_path_md5, total, source.md5, state), partial.size)
        return is_whole or partial.info is not None

    def _receive(self, piece: Piece) -> bool:
        """Write the piece and the rest. Return whether the file is complete."""
        is_whole, total = piece.end is None, self._progress.total
        partial, source = self._partial, self.client.source
        workers = Workers(self.client, partial, piece, total, self._limit)
        try:
            workers.start()
            self._progress.update(partial.size)
            while self._store(workers):
                partial.save(partial.info, workers.contiguous)
                if source.md5 is not None:
                    partial.hash_some()
                self._progress.update(workers.written)
        finally:
            workers.stop()
            with contextlib.suppress(OSError):  # the error that ended the transfer says more
                partial.truncate(workers.contiguous)
        if isinstance(failure := workers.failure, UnusableResponse):
            if not workers.several:  # more bytes than the file has
                partial.restart()
                raise DownloadError(f"{failure}; it was discarded")
            self._limit = 1
        is_complete = is_whole or partial.size == total
        # A response without a length may end with an error although it is complete: the size or the MD5 shows it.
        is_known = source.size is not None or source.md5 is not None
        if failure and not (is_complete and is_known and not source.mismatch(partial.size, partial.md5.hexdigest())):
            raise failure
        return is_complete

    def _store(self, workers: Workers) -> bool:
        """Write the next blocks, and hash those without a hole before them. Return False after the last ones."""
        blocks = workers.take(_TICK)
        for piece, block in blocks or ():
            self._partial.write(piece.written, block)
            if self.client.source.md5 is not None and self._partial.hashed == piece.written:
                self._partial.hash(block)
            workers.advance(piece, len(block))
        return blocks is not None

    def _verify(self, *, again: bool = True) -> None:
        """Raise DownloadError for a wrong file. If its bytes may be of two versions, download it ``again`` first."""
        partial = self._partial
        while self.client.source.md5 is not None and partial.hash_some():
            self._progress.update(partial.size)
        self._progress.update(partial.size, end=True)
        error = self.client.source.mismatch(partial.size, partial.md5.hexdigest())
        if error is None:
            return
        may_recover = again and partial.is_mixed and isinstance(error, ChecksumError)
        partial.restart()
        if not may_recover:
            raise error
        logger.warning("download: %s; restarted", str(error))
        self._fetch()
        self._verify(again=False)
