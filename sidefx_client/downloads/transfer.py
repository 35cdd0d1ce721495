"""One download, from the partial file at hand to the verified file in place.

Only requested bytes are appended, and only bytes that can be recognized as the same file are kept.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from typing import Optional

import requests

from ..errors import ChecksumError, DownloadError, TransportError
from ..log import logger
from ..progress import Progress
from ..transport.response import content_length
from . import responses
from .partial import Partial
from .remote import RangeClient, RemoteFile, ResumeInfo
from .workers import BLOCK, Workers, first_end

TIMEOUT = (10.0, 60.0)  # seconds to connect, seconds of silence after which a transfer is resumed on a new connection
BACKOFF = 0.5  # seconds to wait after the first attempt without progress

_STEP = 8 << 20  # bytes hashed between two reports of progress
_DISCARDED = "the bytes were discarded; download the file again"
_EXPIRED = (400, 401, 403, 410)  # statuses of a signed URL that has expired

RefreshURL = Optional[Callable[[], RemoteFile]]


class Transfer:
    """Completes ``partial`` and verifies it."""

    def __init__(
        self, client: RangeClient, partial: Partial, progress: Progress, connections: int, refresh_url: RefreshURL
    ) -> None:
        self._client = client
        self._partial = partial
        self._progress = progress
        self._connections = connections
        self._refresh_url = refresh_url
        self._range_mismatch_seen = False
        self._workers: Workers | None = None
        self._start_hash()

    def run(self) -> None:
        partial, source = self._partial, self._client.source
        if not source.can_resume(partial.info, partial.size):
            self._start_over()
        if partial.info and source.size is None:
            self._progress.total = partial.info.total
        if self._progress.total is not None:
            partial.require_space(self._progress.total)
        is_mixed = partial.size > 0
        if source.md5 is None or partial.size != source.size:
            self._fetch()
        is_mixed = is_mixed or self._client.has_mixed_versions
        try:
            self._verify()
        except ChecksumError as error:
            if not is_mixed:
                raise
            logger.warning("download: %s; restarted", str(error))
            self._fetch()
            self._verify()

    def _fetch(self) -> None:
        """Receive until nothing is missing."""
        budget = responses.RetryBudget(BACKOFF)
        response: requests.Response | None = None
        failure: TransportError | None
        while True:
            try:
                opened = self._open(response)
            except TransportError as error:
                failure = error
            else:
                failure = opened and self._receive(*opened)
            if failure is None:
                return
            response = None
            with contextlib.ExitStack() as stack:
                if isinstance(failure, responses.UnexpectedResponse):
                    stack.callback(failure.unread.close)
                    response = self._adapt(failure)
                if self._partial.is_resumable:
                    budget.received = max(budget.received, self._partial.size)
                wait = budget.wait(failure)
                logger.warning("download: %s; resumed at byte %d", str(failure), self._partial.size)
                self._client.session.wait(wait)
                if response is not None:
                    stack.pop_all()

    def _adapt(self, failure: responses.UnexpectedResponse) -> requests.Response | None:
        """Use fewer connections from now on. If there is one only, return its response for ``_open``."""
        if self._connections == 1:
            if isinstance(failure, responses.SurplusBytes):
                self._start_over()
                raise DownloadError(f"{failure} ({_DISCARDED})")
            return failure.unread
        refused = failure.is_refusal and self._workers
        self._connections = max(1, refused.accepted) if refused else 1
        return None

    def _open(self, response: requests.Response | None) -> tuple[requests.Response, int | None] | None:
        """Return a response that continues the partial file, and its end; None if nothing is missing."""
        partial, refreshed = self._partial, False
        while True:
            if partial.size and not partial.info:  # the rest could belong to another version of the file
                self._start_over()
            end = first_end(partial.size, self._progress.total, self._connections)
            if response is None:
                response = self._client.request(partial.size, end, partial.info)
            with contextlib.ExitStack() as unused:
                unused.callback(self._client.release)
                unused.callback(response.close)
                status, found = response.status_code, responses.content_range(response.headers)
                stop = self._continue(response, end)
                if status == 200 or stop is not None:
                    stop = self._begin(response) if status == 200 else stop
                    unused.pop_all()
                    return response, stop
            if status == 416 and found and found.total == partial.size and (partial.size or end):
                return None
            if status in _EXPIRED and self._refresh_url and not refreshed:
                refreshed = True
                old, self._client.source = self._client.source, self._refresh_url()
                if not old.is_same_file(self._client.source):
                    self._start_over()
                    raise responses.Replaced("the new URL leads to another file")
            elif status in (206, 416) and not self._range_mismatch_seen:
                self._range_mismatch_seen = True
                self._connections = 1
                self._start_over()
            else:
                raise responses.status_error(response, ", not with the requested range" if status in (206, 416) else "")
            response = None

    def _begin(self, response: requests.Response) -> int | None:
        """Start from the beginning with a response that contains the whole file. Return its end, None if unknown."""
        length, expected = content_length(response), self._client.source.size
        if length is not None and expected not in (None, length):
            raise DownloadError(f"the server has a file of {length} bytes, expected {expected}")
        if length is None and expected is not None and responses.is_page(response, self._partial.target):
            raise DownloadError("the server sent a web page instead of the file", response.status_code)
        self._start_over()
        self._connections = 1
        self._save_info(response, length if length is not None else expected)
        # A complete body of unknown length is the whole file, even if its size is not the expected one.
        return None if "Transfer-Encoding" in response.headers else self._progress.total

    def _continue(self, response: requests.Response, end: int | None) -> int | None:
        """Return the end of a response that continues the partial file with bytes of the same file, else None."""
        partial = self._partial
        found = responses.matching_range(response, partial.size, end, self._progress.total)
        if found is None or (partial.size == 0 and end is None):
            return None
        if partial.info is None:
            self._save_info(response, found.total)
        self._progress.total = found.total
        return found.end if partial.info and self._client.is_same_version(response, partial.info) else None

    def _save_info(self, response: requests.Response, total: int | None) -> None:
        """Save the info that identifies the file. Without an MD5 or a validator it cannot be resumed."""
        state, source = responses.validator(response.headers), self._client.source
        self._progress.total = total
        if total is not None:
            self._partial.require_space(total)
        if state or source.md5:
            self._partial.save_info(ResumeInfo(source.url_path_md5, total, source.md5, state))

    def _receive(self, response: requests.Response, end: int | None) -> TransportError | None:
        """Write the response, which contains the bytes up to ``end``, and the rest. Return an error if incomplete."""
        partial, total = self._partial, self._progress.total
        several = self._connections > 1 and end is not None and total is not None and end < total
        workers = Workers(self._client, partial, total, self._connections if several else 1, BACKOFF)
        self._workers = workers
        if several:  # from now on there may be holes
            self._save_contiguous(partial.size)
        try:
            workers.begin(response, end)
            self._progress.update(partial.size)
            while workers.wait(behind=self._hashed + _STEP < workers.contiguous):
                self._process_contiguous(workers)
        finally:
            ended = workers.stop()
            response.close()
            partial.size = workers.contiguous
            with contextlib.suppress(OSError):  # the error that ended the transfer tells more
                if several:
                    if ended:
                        partial.truncate(partial.size)
                    self._save_contiguous(None if ended else partial.size)
        self._client.abort(False)
        if isinstance(workers.failure, TransportError) or workers.failure is None:
            return workers.failure
        raise workers.failure

    def _save_contiguous(self, contiguous: int | None) -> None:
        if self._partial.info is not None:
            self._partial.save_info(self._partial.info._replace(contiguous=contiguous))

    def _process_contiguous(self, workers: Workers) -> None:
        contiguous = workers.contiguous
        if self._partial.info and self._partial.info.contiguous is not None and contiguous > self._partial.size:
            self._save_contiguous(contiguous)
        self._partial.size = contiguous
        self._hash_up_to(min(contiguous, self._hashed + _STEP))
        self._progress.update(workers.received)

    def _start_over(self) -> None:
        self._partial.restart()
        self._client.has_mixed_versions = False
        self._start_hash()

    def _start_hash(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._hashed = 0
        self._workers = None

    def _hash_up_to(self, end: int) -> None:
        if self._client.source.md5 is None:
            self._hashed = end
        while self._hashed < end:
            block = self._workers.block_at(self._hashed) if self._workers else None
            if block is None:
                stop = self._workers.start if self._workers and self._hashed < self._workers.start else end
                block = self._partial.read(self._hashed, min(BLOCK, stop - self._hashed))
            self._md5.update(block)
            self._hashed += len(block)

    def _verify(self) -> None:
        partial = self._partial
        while self._hashed < partial.size:
            self._hash_up_to(min(partial.size, self._hashed + _STEP))
            self._progress.update(partial.size)
        self._progress.update(partial.size, end=True)
        try:
            self._client.source.require_match(partial.size, self._md5.hexdigest())
        except DownloadError as error:
            self._start_over()
            error.add_hint(_DISCARDED)
            raise
