"""The server's side of a download: the file's URL and properties, requests for ranges, and the patience for retries.

RFC 9110, sections 13.1.5 (If-Range) and 14 (range requests).
"""

from __future__ import annotations

import contextlib
import hashlib
import http
import os
import re
import socket
import threading
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import requests

from ..errors import CallTimeout, DownloadError, TransportError
from ..retry import MAX_RETRY_AFTER, retry_after
from ..secret import Secret
from ..transport.session import Session, build_get
from ..urls import origin, why_unsafe
from .headers import validator_matches

if TYPE_CHECKING:
    from .partial import ResumeInfo  # not loaded unless a file is downloaded

_MAX_REDIRECTS = 5
_RETRYABLE_STATUSES = (429, 502, 503, 504)
MAX_ATTEMPTS_WITHOUT_PROGRESS = 5
_ENOUGH = 64 * 1024  # bytes: an attempt that brought as many is retried at once


class RemoteFile:
    """The URL of a file, its ``size`` in bytes and its ``md5`` in hex, if they are known."""

    def __init__(self, url: str, size: int | None, md5: str | None) -> None:
        self.url = Secret(url)
        self.size = size
        self.md5 = md5.lower() if md5 else None

    @property
    def url_path_md5(self) -> str:
        """A hash of the URL's path, which stays the same with a new signature or another mirror."""
        return hashlib.md5(urlsplit(self.url.reveal()).path.encode(), usedforsecurity=False).hexdigest()

    def is_same_file(self, other: RemoteFile) -> bool:
        return (self.size, self.md5) == (other.size, other.md5)

    def can_resume(self, info: ResumeInfo | None, done: int) -> bool:
        """Whether ``done`` bytes with this info belong to this file, as far as the validator or the MD5 will tell."""
        if info is None or (None not in (info.total, self.size) and info.total != self.size):
            return False
        if done > min(total for total in (info.total, self.size, done) if total is not None):
            return False
        if self.md5 and info.md5:
            return self.md5 == info.md5
        return info.validator is not None and info.url_path_md5 == self.url_path_md5


class RetryableStatus(TransportError):
    """A status that may change at the next attempt, in ``wait`` seconds at the earliest."""

    def __init__(self, message: str, http_code: int, wait: float) -> None:
        super().__init__(message, may_have_executed=True)
        self.http_code = http_code
        self.wait = wait


class UnexpectedResponse(TransportError):
    """A response that does not contain the requested range, ``unread`` and open."""

    def __init__(self, response: requests.Response, message: str | None = None) -> None:
        super().__init__(message or f"status {response.status_code} for a range", may_have_executed=True)
        self.unread = response


class SurplusBytes(UnexpectedResponse):
    """A response with more bytes than it should have."""


class RetryBudget:
    """Counts attempts. ``backoff`` is the wait in seconds after the first one without progress, doubled each time."""

    def __init__(self, backoff: float) -> None:
        self.received = 0  # bytes so far, set by the caller
        self.attempts = 0  # without progress
        self._backoff = backoff
        self._seen = 0

    def wait(self, failure: TransportError) -> float:
        """Return the seconds until the next attempt. Raise DownloadError after the last one."""
        if failure.permanent:
            raise failure
        asked, code = 0.0, None
        if isinstance(failure, RetryableStatus):
            asked, code = failure.wait, failure.http_code
        if asked > MAX_RETRY_AFTER:
            raise DownloadError(f"{failure}; retry after {asked:.0f} s", code)
        gained, self._seen = self.received - self._seen, self.received
        self.attempts = 0 if gained > 0 else self.attempts + 1
        if self.attempts == MAX_ATTEMPTS_WITHOUT_PROGRESS:
            raise DownloadError(f"no data received in {self.attempts} attempts: {failure}", code)
        if gained >= _ENOUGH or isinstance(failure, CallTimeout):  # a timeout was a wait already
            return asked
        return max(asked, self._backoff * 2.0 ** max(0, self.attempts - 1))


class RangeClient:
    """Requests ranges of ``source``, which may be replaced by one with a new URL.

    With an MD5, the MD5 tells at the end whether the bytes fit together, because mirrors of one file may have different
    validators. ``has_mixed_versions`` tells that there were some.
    """

    def __init__(self, source: RemoteFile, session: Session, timeout: tuple[float, float]) -> None:
        self.source = source
        self.timeout = timeout
        self.has_mixed_versions = False
        self.session = session
        self._sockets: dict[int, socket.socket] = {}  # by thread: the socket of its unfinished response
        self._caller = threading.get_ident()
        self._aborted = False

    def request(self, start: int, end: int | None, info: ResumeInfo | None) -> requests.Response:
        """Return the response to a request for the bytes from ``start`` to before ``end`` (None: all the rest).

        ``info`` is about the bytes that are complete. Raises TransportError if a retry may help, else DownloadError.
        """
        headers = {}
        if start or end is not None:
            headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
            if info is not None and info.validator is not None and self.source.md5 is None:
                headers["If-Range"] = info.validator
        response = self._follow(headers)
        if response.status_code in _RETRYABLE_STATUSES:
            response.close()
            wait = retry_after(response.headers) or 0.0
            raise RetryableStatus(str(status_error(response)), response.status_code, wait)
        return response

    def is_same_version(self, response: requests.Response, info: ResumeInfo | None) -> bool:
        """Return False if the response is known to belong to another version of the file."""
        matches = validator_matches(response.headers, info.validator if info else None)
        self.has_mixed_versions = self.has_mixed_versions or not matches
        return matches or self.source.md5 is not None

    def adopt(self) -> None:
        """Take over the socket of the caller's thread, because this thread reads its response."""
        if self._caller in self._sockets:  # not if an adapter of the caller sends
            self._sockets[threading.get_ident()] = self._sockets[self._caller]
            del self._sockets[self._caller]

    def release(self) -> None:
        """Forget this thread's socket, because its response was read or closed."""
        self._sockets.pop(threading.get_ident(), None)

    def abort(self, aborted: bool) -> None:
        """Interrupt the requests and reads of other threads, until this is called with False."""
        self._aborted = aborted
        for sock in list(self._sockets.values()) if aborted else ():
            _interrupt(sock)

    def _follow(self, headers: dict[str, str]) -> requests.Response:
        """Return the response after at most five redirects."""
        url = self.source.url
        for _ in range(_MAX_REDIRECTS + 1):
            response = self._send(build_get(url, headers))
            status = response.status_code
            if status not in (301, 302, 303, 307, 308) or "Location" not in response.headers:
                return response
            response.close()
            target = _redirect_target(url, response)
            if target is None:
                raise status_error(response, " with an invalid Location")
            reason = why_unsafe(target.reveal(), "the redirect of the download")
            if reason:
                raise DownloadError(reason, status)
            url = target
        raise status_error(response, f", more than {_MAX_REDIRECTS} times")

    def _send(self, request: requests.PreparedRequest) -> requests.Response:
        return self.session.send(request, self.timeout, "download", self._on_socket)

    def _on_socket(self, sock: socket.socket) -> None:
        self._sockets[threading.get_ident()] = sock
        if self._aborted:
            _interrupt(sock)


def status_error(response: requests.Response, more: str = "") -> DownloadError:
    """Return the error for a status. The body of a storage service may quote the signed query, so it is not shown."""
    status = response.status_code
    phrase = http.HTTPStatus(status).phrase if status in http.HTTPStatus._value2member_map_ else "unknown status"
    return DownloadError(f"{origin(str(response.url))} responded with {status} {phrase}{more}", status)


def _interrupt(sock: socket.socket) -> None:
    sock = getattr(sock, "socket", sock)  # TLS within TLS is wrapped once more
    with contextlib.suppress(OSError):
        if os.name == "nt":  # shutdown() does not wake a blocked recv there, closing the handle does
            socket.close(sock.detach())
        else:  # SSLSocket.shutdown() would replace the state of the thread that reads
            socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _redirect_target(url: Secret, response: requests.Response) -> Secret | None:
    location, base = quoted(response.headers["Location"], "latin-1"), url.reveal()  # http.client decodes as latin-1
    if location.startswith("//"):  # urljoin takes "//" alone for the old place
        return Secret(f"{urlsplit(base).scheme}:{location}")
    try:
        return Secret(urljoin(base, location))
    except ValueError:
        return None


def quoted(url: str, encoding: str = "utf-8") -> str:
    """Return a server's URL with blanks and non-ASCII characters after the host quoted, as browsers do."""

    def quote(match: re.Match[str]) -> str:
        return "".join(f"%{byte:02X}" for byte in match[0].encode(encoding, "replace"))

    host = re.match("(?:[^/?#]*//[^/?#]*)?", url)
    assert host
    return host[0] + re.sub("[ \x80-\U0010ffff]", quote, url[host.end() :])
