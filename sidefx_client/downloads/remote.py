"""The server's side of a download: the file's URL and properties, and requests for ranges of it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import socket
import threading
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

import requests

from ..errors import ChecksumError, DownloadError
from ..retry import retry_after
from ..secret import Secret
from ..transport.session import Session, build_get
from ..urls import why_unsafe
from .responses import RetryableStatus, status_error, validator_matches

_MAX_REDIRECTS = 5
_RETRYABLE_STATUSES = (429, 502, 503, 504)


class ResumeInfo(NamedTuple):
    """The file that the bytes of a partial file belong to. ``total`` and ``contiguous`` are bytes.

    The first ``contiguous`` bytes of the partial file are complete. None means all of them.
    """

    url_path_md5: str
    total: int | None
    md5: str | None
    validator: str | None
    contiguous: int | None = None


def parse_info(data: bytes) -> ResumeInfo | None:
    """Return the info in a sidecar, or None if it is damaged."""
    try:
        fields = json.loads(data)
        info = ResumeInfo(*(fields[name] for name in ResumeInfo._fields))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    numbers, texts = (info.total, info.contiguous), (info.md5, info.validator)
    well_formed = all(n is None or (isinstance(n, int) and n >= 0) for n in numbers) and all(
        text is None or isinstance(text, str) for text in texts
    )
    return info if well_formed else None


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

    def require_match(self, size: int, md5: str) -> None:
        """Raise DownloadError or ChecksumError if this is not the expected size or MD5."""
        if self.size not in (None, size):
            raise DownloadError(f"the file has {size} bytes, expected {self.size}")
        if self.md5 not in (None, md5):
            raise ChecksumError(f"the MD5 of the file is {md5}, expected {self.md5}")

    def can_resume(self, info: ResumeInfo | None, done: int) -> bool:
        """Return whether ``done`` bytes with this info may belong to this file. Validator or MD5 decide later."""
        if info is None or (None not in (info.total, self.size) and info.total != self.size):
            return False
        if done > min(total for total in (info.total, self.size, done) if total is not None):
            return False
        if self.md5 and info.md5:
            return self.md5 == info.md5
        return info.validator is not None and info.url_path_md5 == self.url_path_md5


class RangeClient:
    """Requests ranges of ``source``, which may be replaced by one with a new URL.

    Mirrors of one file may have different validators. So if the MD5 is known, a different validator only sets
    ``has_mixed_versions``, and the MD5 shows at the end whether the bytes belong together.
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


def _interrupt(sock: socket.socket) -> None:
    sock = getattr(sock, "socket", sock)  # TLS within TLS is wrapped once more
    with contextlib.suppress(OSError):
        if os.name == "nt":  # shutdown() does not wake a blocked recv there, closing the handle does
            socket.close(sock.detach())
        else:  # SSLSocket.shutdown() would replace the state of the thread that reads
            socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _redirect_target(url: Secret, response: requests.Response) -> Secret | None:
    location, base = quoted(response.headers["Location"], "latin-1"), url.reveal()  # http.client decodes as latin-1
    if location.startswith("//"):  # urljoin returns the old URL for "//" alone
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
