"""The server's side of a download: the file's URL and properties, and requests for ranges of it."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import re
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urljoin, urlsplit

import requests

from ..errors import ChecksumError, DownloadError, TransportError
from ..retry import RETRYABLE_STATUSES, retry_after
from ..secret import Secret
from ..transport.response import content_length
from ..transport.session import Session, build_get
from ..urls import origin, why_unsafe

if TYPE_CHECKING:
    from .partial import Partial, ResumeInfo

TIMEOUT = (10.0, 60.0)  # seconds to connect, seconds of silence after which a transfer is resumed on a new connection

_MAX_REDIRECTS = 5
_UNQUOTED = bytes(range(128)).replace(b" ", b"")


class ContentRange(NamedTuple):
    """The bytes from ``start`` to before ``end`` (both None: no range) of ``total`` (None: unknown)."""

    start: int | None
    end: int | None
    total: int | None


def content_range(headers: Mapping[str, str]) -> ContentRange | None:
    """Return the Content-Range of a response, or None if it is missing or invalid."""
    number = "([0-9]{1,18})"
    pattern = rf"bytes (?:{number}-{number}|\*)/(?:{number}|\*)"
    match = re.fullmatch(pattern, headers.get("Content-Range", ""), re.IGNORECASE)
    if not match:
        return None
    start, last, total = (int(group) if group else None for group in match.groups())
    end = None if last is None else last + 1
    is_possible = end is None or (start or 0) < end <= (end if total is None else total)
    return ContentRange(start, end, total) if is_possible else None


def validator(headers: Mapping[str, str]) -> str | None:
    """Return the validator of this version of the file for If-Range: a strong ETag, else Last-Modified, else None."""
    etag = headers.get("ETag", "")
    if re.fullmatch(r'"[\x21\x23-\x7e]{0,200}"', etag):
        return etag
    date = headers.get("Last-Modified", "")
    return date if re.fullmatch(r"[\x20-\x7e]{1,60}", date) else None


def status_error(response: requests.Response, more: str = "") -> DownloadError:
    """Return the error for a status. The body of a storage service may quote the signed query, so it is not shown."""
    status = response.status_code
    phrase = http.client.responses.get(status, "unknown status")
    return DownloadError(f"{origin(str(response.url))} responded with {status} {phrase}{more}", status)


class UnusableResponse(TransportError):
    """A response without the requested bytes.

    ``wait`` is the minimum number of seconds before a retry. None means that the same request fails again.
    """

    def __init__(self, response: requests.Response, message: str | None = None, wait: float | None = None) -> None:
        super().__init__(message or str(status_error(response)), may_have_executed=True)
        self.http_code = response.status_code
        self.wait = wait


class RemoteFile:
    """The URL of a file, its ``size`` in bytes and its ``md5`` in hex, if they are known."""

    def __init__(self, url: str, size: int | None, md5: str | None) -> None:
        self.url = Secret(url)
        self.size = size
        self.md5 = md5.lower() if md5 else None
        # The URL's path stays the same with a new signature or another mirror.
        path = urlsplit(url).path.encode(errors="replace")
        self.url_path_md5 = hashlib.md5(path, usedforsecurity=False).hexdigest()

    def mismatch(self, size: int, md5: str) -> DownloadError | None:
        """Return an error if this is not the expected size or MD5."""
        if self.size not in (None, size):
            return DownloadError(f"the file has {size} bytes, expected {self.size}; it was discarded")
        if self.md5 not in (None, md5):
            return ChecksumError(f"the MD5 of the file is {md5}, expected {self.md5}; it was discarded")
        return None

    def can_resume(self, info: ResumeInfo | None, done: int) -> bool:
        """Return whether ``done`` bytes with this info may belong to this file. A validator or MD5 decides later."""
        totals = {total for total in (info and info.total, self.size) if total is not None}
        if info is None or len(totals) > 1 or done > max(totals, default=done):
            return False
        if self.md5 and info.md5:
            return self.md5 == info.md5
        return info.validator is not None and info.url_path_md5 == self.url_path_md5


class Piece:
    """The bytes from ``at``, the next one to receive, to before ``end`` (None: to the end of the response).

    The bytes from ``written`` to before ``at`` are received and not yet in the file.
    """

    def __init__(self, at: int, end: int | None) -> None:
        self.at = self.written = at
        self.end = end
        self.response: requests.Response | None = None  # from its request until a worker reads it
        self.is_taken = False
        self._socket: socket.socket | None = None
        self._is_stopped = False

    def watch(self, sock: socket.socket | None) -> None:
        """Set the socket that this piece is received from, so that another thread can stop it."""
        self._socket = sock
        if self._is_stopped:
            self.stop()

    def stop(self) -> None:
        """Interrupt the request and the read of this piece."""
        self._is_stopped = True
        if self.response is not None:
            self.response.close()
        sock = getattr(self._socket, "socket", self._socket)  # TLS within TLS is wrapped once more
        with contextlib.suppress(OSError):
            if sock is not None and os.name == "nt":  # on Windows shutdown() does not wake a blocked recv
                socket.close(sock.detach())
            elif sock is not None:  # SSLSocket.shutdown() would discard the TLS state in use by the reading thread
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


class RangeClient:
    """A client for ranges of ``source``, which is replaced if its URL expires.

    Mirrors of one file may have different validators. So if the MD5 is known, a different validator only makes the
    partial file mixed. At the end the MD5 shows whether the bytes belong together.
    """

    def __init__(self, source: RemoteFile, session: Session) -> None:
        self.source = source
        self.session = session

    def request(self, piece: Piece, info: ResumeInfo | None) -> requests.Response:
        """Return the response to a request for the missing bytes of the piece. ``info`` is that of the partial file.

        Raises TransportError if a retry may help, else DownloadError.
        """
        headers = {}
        if piece.at or piece.end is not None:
            headers["Range"] = f"bytes={piece.at}-{'' if piece.end is None else piece.end - 1}"
            if info is not None and info.validator is not None and self.source.md5 is None:
                headers["If-Range"] = info.validator
        response = self._follow(headers, piece)
        if response.status_code in (429, *RETRYABLE_STATUSES):
            response.close()
            raise UnusableResponse(response, wait=retry_after(response.headers) or 0.0)
        return response

    def usable_range(
        self, response: requests.Response, piece: Piece, total: int | None, partial: Partial
    ) -> ContentRange | None:
        """Return the range of a response that continues the piece and may belong to the partial file, or None."""
        found, known = content_range(response.headers), partial.info.validator if partial.info else None
        if response.status_code != 206 or found is None or found.start != piece.at or found.end is None:
            return None
        total = total or found.total
        if total is None or found.total not in (None, total) or found.end > (piece.end or total):
            return None
        if content_length(response) not in (None, found.end - piece.at):
            return None
        if known not in (None, validator(response.headers) or known):
            partial.is_mixed = True
            if self.source.md5 is None:
                return None
        return found._replace(total=total)

    def _follow(self, headers: dict[str, str], piece: Piece) -> requests.Response:
        """Return the response after at most five redirects."""
        url = self.source.url
        for _ in range(_MAX_REDIRECTS + 1):
            response = self.session.send(build_get(url, headers), TIMEOUT, "download", piece.watch)
            status = response.status_code
            if status not in (301, 302, 303, 307, 308) or "Location" not in response.headers:
                return response
            response.close()
            try:  # http.client decodes headers as Latin-1
                url = Secret(urljoin(url.reveal(), quoted(response.headers["Location"], "latin-1")))
            except ValueError:
                url = Secret("")  # which is refused
            if reason := why_unsafe(url.reveal(), "the redirect of the download"):
                raise DownloadError(reason, status)
        raise status_error(response, f", more than {_MAX_REDIRECTS} times")


def quoted(url: str, encoding: str = "utf-8") -> str:
    """Return a server's URL with blanks and non-ASCII characters after the host quoted, as browsers do."""
    host, rest = re.fullmatch("((?:[^/?#]*//[^/?#]*)?)(.*)", url, re.DOTALL).groups()  # type: ignore[union-attr]
    return str(host + quote(rest.encode(encoding, "replace"), safe=_UNQUOTED))
