"""The far end of a download: where the file is, what is known of it beforehand, and one request for a part of it."""

from __future__ import annotations

import contextlib
import hashlib
import http
import socket
import threading
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import requests

from ..errors import DownloadError
from ..retry import retry_after
from ..secret import Secret
from ..transport.session import Session, Timeout, build_get
from ..urls import origin, why_unsafe
from .patience import Busy

if TYPE_CHECKING:
    from .partial import Note  # not loaded unless something is downloaded

_REDIRECTS = 5
_PASSING = (429, 502, 503, 504)  # statuses that may be gone at the next try


class RemoteFile:
    """Where a file is, and what is known of it beforehand: its ``size`` in bytes, its ``md5`` in hex."""

    def __init__(self, url: str, size: int | None, md5: str | None) -> None:
        self.address = Secret(url)
        self.size = size
        self.md5 = md5.lower() if md5 else None

    @property
    def place(self) -> str:
        """Stands for the path of the URL, which a new signature and another mirror leave as it is."""
        return hashlib.md5(urlsplit(self.address.reveal()).path.encode(), usedforsecurity=False).hexdigest()

    def is_of_same_file(self, other: RemoteFile) -> bool:
        return (self.size, self.md5) == (other.size, other.md5)

    def is_begun_by(self, note: Note | None, done: int) -> bool:
        """Whether ``done`` bytes of this note are of the same file, as the server, or the MD5 at the end, will tell."""
        if note is None or (None not in (note.total, self.size) and note.total != self.size):
            return False
        if done > min(total for total in (note.total, self.size, done) if total is not None):
            return False
        if self.md5 and note.md5:
            return self.md5 == note.md5
        return note.validator is not None and note.place == self.place


class Remote:
    """Asks for parts of ``source``, which may be changed for a newer one."""

    def __init__(self, source: RemoteFile, session: Session, timeout: Timeout) -> None:
        self.source = source
        self._session = session
        self._timeout = timeout
        self._sockets: dict[int, socket.socket] = {}  # by thread: the one of its last request
        self._cut = False

    def ask(self, start: int, end: int | None, if_range: str | None) -> requests.Response:
        """The answer to a request for the bytes from ``start`` to before ``end`` (None: to the last one).

        ``if_range`` is the validator of what there is already. Raises TransportError where it is worth another try, and
        DownloadError where it is not; every other status than a passing one is returned.
        """
        headers = {}
        if start or end is not None:
            headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
            if if_range is not None:
                headers["If-Range"] = if_range
        response = self._follow(headers)
        if response.status_code in _PASSING:
            response.close()
            wait = retry_after(response.headers) or 0.0
            raise Busy(str(refusal(response)), response.status_code, wait)
        return response

    def cut(self, cut: bool) -> None:
        """Ends what other threads wait for here, now and until it is called with False: they see a TransportError."""
        self._cut = cut
        if cut:
            for sock in list(self._sockets.values()):
                _shut(sock)

    def _follow(self, headers: dict[str, str]) -> requests.Response:
        """The answer at the end of at most five redirects."""
        address = self.source.address
        for _ in range(_REDIRECTS + 1):
            response = self._send(build_get(address, headers))
            status = response.status_code
            if status not in (301, 302, 303, 307, 308) or "Location" not in response.headers:
                return response
            response.close()
            target = _target(address, response)
            if target is None:
                raise refusal(response, " with a Location that is no URL")
            reason = why_unsafe(target.reveal(), "a redirect of the download")
            if reason:
                raise DownloadError(reason, status)
            address = target
        raise refusal(response, f", more than {_REDIRECTS} times")

    def _send(self, request: requests.PreparedRequest) -> requests.Response:
        return self._session.send(request, self._timeout, "download", self._watch)

    def _watch(self, sock: socket.socket) -> None:
        self._sockets[threading.get_ident()] = sock
        if self._cut:
            _shut(sock)


def refusal(response: requests.Response, more: str = "") -> DownloadError:
    """The error that a status stands for. Not the body: that of a storage service may quote the signed query."""
    status = response.status_code
    phrase = http.HTTPStatus(status).phrase if status in http.HTTPStatus._value2member_map_ else "unknown status"
    return DownloadError(f"{origin(str(response.url))} answered {status} {phrase}{more}", status)


def _shut(sock: socket.socket) -> None:
    # TLS within TLS is wrapped once more. SSLSocket.shutdown() would take its state from under the thread that reads.
    with contextlib.suppress(OSError):
        socket.socket.shutdown(getattr(sock, "socket", sock), socket.SHUT_RDWR)


def _target(address: Secret, response: requests.Response) -> Secret | None:
    """Where a redirect leads; in no frame that raises is it shown, for it may be signed."""
    location, base = response.headers["Location"], address.reveal()
    if location.startswith("//"):  # urljoin takes "//" alone for the old place
        return Secret(f"{urlsplit(base).scheme}:{location}")
    try:
        return Secret(urljoin(base, location))
    except ValueError:
        return None
