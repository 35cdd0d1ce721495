"""One file on its way from a URL to the disk: what is missing is asked for, until it is there and verified.

Nothing is appended that was not asked for, and nothing is kept that cannot be told to be of the same file: RFC 9110,
sections 13.1.5 (If-Range) and 14 (ranges).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import requests

from ..errors import ChecksumError, DownloadError, TransportError
from ..log import logger
from ..progress import Progress, ProgressCallback
from ..transport.response import ResponseBody, content_length
from ..transport.session import Session
from .hashing import Hasher
from .headers import ContentRange, content_range, validator, validator_matches
from .partial import Note, Partial, PartialLost
from .patience import Patience
from .remote import Remote, RemoteFile, refusal
from .workers import Ranges, piece_size

TIMEOUT = (10.0, 60.0)  # seconds to connect, seconds of silence after which a transfer is resumed on a new connection
BACKOFF = 0.5  # seconds to wait after the first try without a new byte

_BLOCK = 512 * 1024  # bytes: larger ones are faster still, but a stall loses the one under way
_EXPIRED = (400, 401, 403, 410)  # statuses of a signed URL whose time is over

Renew = Callable[[], RemoteFile]


def fetch(
    source: RemoteFile,
    target: Path,
    session: Session,
    progress: ProgressCallback | None,
    connections: int,
    renew: Renew | None,
) -> Path:
    """The path of the file, whole and in place; ``renew`` returns one with a new URL once the signed one has died.

    Raises OSError for the disk, DownloadError, ChecksumError, and TransportError where another try can only fail too.
    """
    remote = Remote(source, session, TIMEOUT)

    def attempt() -> Path:
        with Partial(target) as partial, Hasher(wanted=remote.source.md5 is not None) as hasher:
            try:
                Transfer(remote, partial, hasher, progress, connections, renew).run()
            except DownloadError as error:
                if partial.is_of_use:
                    error.add_hint("what is there is kept for the next run")
                raise
            return partial.commit()

    try:
        return attempt()
    except (PartialLost, _Replaced) as error:
        logger.warning("download: %s; started again", str(error))
    return attempt()


class _Replaced(DownloadError):
    """The new URL is of another file than the old one."""


class Transfer:
    """Makes ``partial`` whole, and sure that it is."""

    def __init__(
        self,
        remote: Remote,
        partial: Partial,
        hasher: Hasher,
        progress: ProgressCallback | None,
        connections: int,
        renew: Renew | None,
    ) -> None:
        self._remote = remote
        self._partial = partial
        self._hasher = hasher
        self._steps = Progress(progress, remote.source.size)
        self._connections = connections
        self._renew = renew
        self._misled = False

    def run(self) -> None:
        partial, source = self._partial, self._remote.source
        if not source.is_begun_by(partial.note, partial.size):
            partial.restart()
        self._hasher.catch_up(partial.file, partial.size)
        if partial.note and source.size is None:
            self._steps.total = partial.note.total
        if source.md5 is None or partial.size != source.size:
            self._fetch()
        self._steps.at(partial.size, end=True)
        self._verify()

    def _fetch(self) -> None:
        patience = Patience(BACKOFF, self._partial.size)
        while True:
            failure: TransportError | None
            try:
                response = self._ask()
            except TransportError as error:
                failure = error
            else:
                if response is None:
                    return
                with contextlib.closing(response):  # also where a progress function cancels
                    failure = self._receive(response)
            if failure is None:
                return
            wait = patience.wait(failure, self._partial.size)
            logger.warning("download: %s; resumed at byte %d", str(failure), self._partial.size)
            time.sleep(wait)

    def _ask(self) -> requests.Response | None:
        """An answer whose body goes on where the partial ends; None where nothing is missing."""
        partial, renewed = self._partial, False
        while True:
            if partial.size and not partial.note:  # nobody could tell whether the rest is of the same file
                self._start_over()
            end = self._end_of_first_piece()
            response = self._remote.ask(partial.size, end, partial.note.validator if partial.note else None)
            with contextlib.ExitStack() as unwanted:
                unwanted.callback(response.close)
                status, told = response.status_code, content_range(response.headers)
                if status == 200:
                    self._begin(response)
                if status == 200 or (status == 206 and told and self._goes_on(response, told, end)):
                    unwanted.pop_all()
                    return response
            if status == 416 and told and told.total == partial.size and (partial.size or end):
                return None
            if status in _EXPIRED and self._renew and not renewed:
                renewed = True
                self._use(self._renew())
            elif status in (206, 416) and not self._misled:
                self._misled = True
                self._connections = 1
                self._start_over()
            else:
                lied = " and does not keep to the ranges that it is asked for" if status in (206, 416) else ""
                raise refusal(response, lied)

    def _end_of_first_piece(self) -> int | None:
        """Where to end what is asked for, None where the rest is for one connection."""
        if self._connections == 1:
            return None
        total = self._steps.total
        left = None if total is None else total - self._partial.size
        piece = piece_size(left, self._connections)
        return self._partial.size + piece if left is None or left > 2 * piece else None

    def _begin(self, response: requests.Response) -> None:
        """A whole body comes: what there was is of no use any more."""
        length, expected = content_length(response), self._remote.source.size
        if length is not None and expected not in (None, length):
            raise DownloadError(f"the server has a file of {length} bytes, expected {expected}")
        self._start_over()
        self._connections = 1
        self._describe(response, length if length is not None else expected)

    def _goes_on(self, response: requests.Response, told: ContentRange, end: int | None) -> bool:
        """Whether the body is what was asked for: from where the partial ends, of the same file in the same state."""
        partial, total = self._partial, told.total or self._steps.total
        if told.start != partial.size or told.end is None or total is None or told.end > (end or total):
            return False
        if content_length(response) not in (None, told.end - told.start) or (partial.size == 0 and end is None):
            return False
        if partial.note is None:
            self._describe(response, total)
            return partial.note is not None
        if not validator_matches(response.headers, partial.note.validator):
            return False
        same = self._steps.total in (None, total)
        self._steps.total = total
        return same

    def _describe(self, response: requests.Response, total: int | None) -> None:
        """Notes by what the partial can be known again; without a note it cannot be resumed."""
        state, source = validator(response.headers), self._remote.source
        self._steps.total = total
        if state or source.md5:
            self._partial.describe(Note(source.place, total, source.md5, state))

    def _receive(self, response: requests.Response) -> TransportError | None:
        """Writes the body behind what is there; what there is to say where the file is not whole then."""
        partial, total = self._partial, self._steps.total
        told = content_range(response.headers) if response.status_code == 206 else None
        end = told.end if told else total
        self._steps.at(partial.size)
        if self._connections > 1 and end is not None and total is not None and end < total:
            return self._receive_in_ranges(response, end, total)
        with ResponseBody(response, decoded=False) as body:
            while True:
                try:
                    block = body.read(_BLOCK)
                except TransportError as error:
                    return error
                if not block:
                    break
                if end is not None and partial.size + len(block) > end:
                    raise self._useless(DownloadError(f"the server sends more than the {end} bytes of the file"))
                partial.write(block)
                self._hasher.update(block)
                self._steps.at(partial.size)
        if total in (None, partial.size):
            return None
        return TransportError(f"the file ended after {partial.size} of {total} bytes")

    def _receive_in_ranges(self, response: requests.Response, end: int, total: int) -> TransportError | None:
        ranges = Ranges(self._remote, self._partial, total, self._connections, BACKOFF)
        status = ranges.fetch(response, end, self._hasher, self._steps)
        if status is None:
            return None
        if status in (200, 206, 416):
            self._connections = 1
        return TransportError(f"a range of the file was answered with {status}")

    def _use(self, source: RemoteFile) -> None:
        same = source.is_of_same_file(self._remote.source)
        self._remote.source = source
        if not same:
            self._start_over()
            raise _Replaced("the new URL is of another file")

    def _start_over(self) -> None:
        self._partial.restart()
        self._hasher.restart()

    def _verify(self) -> None:
        partial, expected = self._partial, self._remote.source
        if expected.size not in (None, partial.size):
            raise self._useless(DownloadError(f"the file has {partial.size} bytes, expected {expected.size}"))
        found = self._hasher.hexdigest()
        if expected.md5 not in (None, found):
            raise self._useless(ChecksumError(f"the MD5 of the file is {found}, expected {expected.md5}"))

    def _useless(self, error: DownloadError) -> DownloadError:
        self._partial.restart()
        error.add_hint("it was not kept: download it again")
        return error
