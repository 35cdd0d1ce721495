"""One file on its way from a URL to the disk: what is missing is asked for, until it is there and verified.

Nothing is appended that was not asked for, and nothing is kept that cannot be told to be of the same file: RFC 9110,
sections 13.1.5 (If-Range) and 14 (ranges).
"""

from __future__ import annotations

import hashlib
import http
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urljoin

import requests

from .answer import Body, content_length
from .connection import BLOCK
from .errors import ChecksumError, DownloadError, TransportError
from .http_range import ContentRange, content_range, validator
from .log import logger
from .prepared import get
from .progress import Progress, ProgressCallback
from .session import Session
from .storage import Partial
from .urls import Address, fault
from .writer import Writer

TIMEOUT = (10.0, 60.0)  # seconds to connect, seconds of silence after which a transfer is taken up again
BACKOFF = 0.5  # seconds to wait after the first try without a new byte, doubled after each further one
TRIES = 5  # in a row without a new byte

_REDIRECTS = 5
_PASSING = (429, 502, 503, 504)  # statuses that may be gone at the next try
_EXPIRED = (401, 403, 410)  # statuses of a signed URL whose time is over


class Source:
    """Where a file is, and what is known of it beforehand: its size in bytes, its MD5 in hex."""

    def __init__(self, url: str, size: int | None, md5: str | None) -> None:
        self.address = Address(url)
        self.size = size
        self.md5 = md5.lower() if md5 else None


class Transfer:
    """Fetches ``source`` to ``target``. ``renew`` returns a Source with a new URL, once the signed one has died."""

    def __init__(
        self,
        source: Source,
        target: Path,
        session: Session,
        progress: ProgressCallback | None,
        connections: int = 1,
        renew: Callable[[], Source] | None = None,
    ) -> None:
        self._source = source
        self._target = target
        self._session = session
        self._callback = progress
        self._connections = connections
        self._renew = renew
        self._renewed_at = -1
        self._misled = False
        self._total = source.size
        self._digest: Any = None
        self._steps = Progress(None, None)

    def run(self) -> Path:
        """The path of the file, whole and in place. Raises OSError for the disk, DownloadError, ChecksumError."""
        with Partial(self._target) as partial:
            if not self._is_of_source(partial):
                partial.restart()
            self._take_stock(partial)
            self._fetch_all(partial)
            self._verify(partial)
            return partial.commit()

    def _is_of_source(self, partial: Partial) -> bool:
        """Whether the partial can be gone on with: of the same file, as far as anybody can tell, or as MD5 will tell."""
        note, source = partial.note, self._source
        if partial.size > (source.size or partial.size) or source.size not in (None, note.get("size")):
            return False
        if source.md5 is not None:
            return bool(note.get("md5") == source.md5)
        return isinstance(note.get("validator"), str)

    def _take_stock(self, partial: Partial) -> None:
        """Hashes what is there, and leaves the file ready for what is not."""
        self._digest = hashlib.md5(usedforsecurity=False) if self._source.md5 else None
        partial.file.seek(0)
        if self._digest is not None:
            left = partial.size
            while left and (block := partial.file.read(min(left, BLOCK))):
                self._digest.update(block)
                left -= len(block)
        partial.file.seek(partial.size)

    def _fetch_all(self, partial: Partial) -> None:
        source, tries, best = self._source, 0, partial.size
        if source.md5 and partial.size == source.size:
            return
        while True:
            try:
                response = self._ask(partial)
                if response is None or self._receive(response, partial):
                    return
                failure = TransportError(f"the file ended after {partial.size} of {self._total} bytes")
            except TransportError as error:
                failure = error
            if failure.lasting:
                raise failure
            tries = 1 if partial.size > best else tries + 1
            best = max(best, partial.size)
            if tries >= TRIES:
                raise DownloadError(
                    f"no new byte in {TRIES} tries: {failure}; {partial.size} bytes are kept for the next run"
                )
            logger.warning("download: %s; taken up again at byte %d", failure, partial.size)
            time.sleep(BACKOFF * 2 ** (tries - 1))

    def _ask(self, partial: Partial) -> requests.Response | None:
        """An answer whose body goes on where the partial ends; None where nothing is missing."""
        while True:
            response = self._follow(self._headers(partial))
            status = response.status_code
            if status == 200:
                self._begin(partial, response)
                return response
            told = content_range(response.headers)
            if status == 206 and told is not None and self._goes_on(partial, response, told):
                self._total = told.total or self._total
                return response
            response.close()
            if status == 416 and partial.size and told is not None and told.total == partial.size:
                return None
            if status in _EXPIRED and self._renew is not None and self._renewed_at != partial.size:
                self._renewed_at = partial.size
                self._use(self._renew(), partial)
            elif status in (206, 416) and not self._misled:
                self._misled = True
                self._start_over(partial)
            else:
                self._refuse(status)

    def _headers(self, partial: Partial) -> dict[str, str]:
        if not partial.size:
            return {}
        headers = {"Range": f"bytes={partial.size}-"}
        if partial.note.get("validator"):
            headers["If-Range"] = partial.note["validator"]
        return headers

    def _follow(self, headers: dict[str, str]) -> requests.Response:
        """The answer at the end of at most five redirects."""
        address = self._source.address
        for _ in range(_REDIRECTS + 1):
            response = self._session.send(get(address, headers), TIMEOUT, "download")
            location = response.headers.get("Location")
            if response.status_code not in (301, 302, 303, 307, 308) or not location:
                return response
            response.close()
            address = Address(urljoin(address.reveal(), location))
            del location  # in no frame that raises: it may be signed
            reason = fault(address.reveal(), "a redirect of the download")
            if reason:
                raise DownloadError(reason, response.status_code)
        raise DownloadError(f"more than {_REDIRECTS} redirects from {self._source.address!r}", response.status_code)

    def _begin(self, partial: Partial, response: requests.Response) -> None:
        """A whole body comes: what there was is of no use any more."""
        if partial.size:
            self._start_over(partial)
        length = content_length(response)
        if length is not None and self._source.size not in (None, length):
            response.close()
            raise DownloadError(f"the server has a file of {length} bytes, expected {self._source.size}")
        self._total = length if length is not None else self._source.size
        partial.describe(validator=validator(response.headers), size=self._total, md5=self._source.md5)

    def _receive(self, response: requests.Response, partial: Partial) -> bool:
        """Writes the body behind what is there; whether the file is whole then, as far as its length tells."""
        told = content_range(response.headers) if response.status_code == 206 else None
        end = told.end if told is not None else self._total
        self._steps = self._steps if self._steps.total == self._total else Progress(self._callback, self._total)
        self._steps.at(partial.size)
        try:
            with Body(response, decoded=False) as body, Writer(partial.file, self._digest) as writer:
                while block := body.read(BLOCK if end is None else min(BLOCK, end - partial.size)):
                    writer.write(block)
                    partial.size += len(block)
                    self._steps.at(partial.size)
        finally:
            partial.size = os.fstat(partial.file.fileno()).st_size
        self._steps.at(partial.size, end=True)
        return self._total is None or partial.size == self._total

    def _goes_on(self, partial: Partial, response: requests.Response, told: ContentRange) -> bool:
        """Whether the body is what was asked for: from where the partial ends, of the same file in the same state."""
        state = validator(response.headers)
        asked = partial.size > 0 and told.start == partial.size
        same = None in (state, partial.note.get("validator")) or state == partial.note["validator"]
        return asked and same and told.total in (None, self._total or told.total)

    def _use(self, source: Source, partial: Partial) -> None:
        same = (source.size, source.md5) == (self._source.size, self._source.md5)
        self._source = source
        if not same:
            self._total = source.size
            self._start_over(partial)

    def _start_over(self, partial: Partial) -> None:
        partial.restart()
        self._take_stock(partial)

    def _refuse(self, status: int) -> NoReturn:
        # Not the body: that of a storage service may quote the signed query.
        phrase = http.HTTPStatus(status).phrase if status in http.HTTPStatus._value2member_map_ else "unknown status"
        reason = f"{self._source.address!r} answered {status} {phrase}"
        if status in _PASSING:
            raise TransportError(reason)
        if status in (206, 416):
            reason += " and does not keep to the ranges that it is asked for"
        raise DownloadError(reason, status)

    def _verify(self, partial: Partial) -> None:
        source, size = self._source, partial.size
        if source.size not in (None, size):
            partial.restart()
            raise DownloadError(f"the file has {size} bytes, expected {source.size}; it was not kept")
        if self._digest is not None and self._digest.hexdigest() != source.md5:
            got = self._digest.hexdigest()
            partial.restart()
            raise ChecksumError(
                f"the MD5 of the file is {got}, expected {source.md5}; it was not kept: download it again"
            )
