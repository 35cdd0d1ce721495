"""The translation of the exceptions of requests, urllib3, http.client, ssl and socket into one TransportError.

Their exceptions are not chained, because they hold the request with its bearer token. Their texts may hold the password
of a proxy.
"""

from __future__ import annotations

import errno
import http.client
import re
import socket
import ssl
from collections.abc import Iterator

import requests
import urllib3
from urllib3.util.ssl_match_hostname import CertificateError

from ..errors import CallTimeout, ConfigError, SideFXError, TransportError, clean
from ..urls import origin

NETWORK_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError)
_DISK_ERRORS = (FileExistsError, FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)
_DISK_ERRNOS = (errno.ENOSPC, errno.EROFS, errno.EIO, getattr(errno, "EDQUOT", errno.ENOSPC))

_TIMEOUTS = (socket.timeout, TimeoutError, requests.Timeout, urllib3.exceptions.TimeoutError)
_INVALID_URL = (requests.exceptions.InvalidURL, http.client.InvalidURL, urllib3.exceptions.LocationValueError)
_MISCONFIGURED = (*_INVALID_URL, requests.exceptions.InvalidSchema)
_REFUSED = urllib3.exceptions.NewConnectionError  # also if a host name does not resolve
_CERTIFICATE = (ssl.SSLCertVerificationError, CertificateError)
_NOT_CONNECTED = (_REFUSED, urllib3.exceptions.ConnectTimeoutError, requests.ConnectTimeout, *_CERTIFICATE)


def transport_error(error: BaseException, url: str, started: bool | None, proxy: str | None = None) -> SideFXError:
    """Return the error to raise for ``error``. ``started`` (Attempt.request_started) is its ``may_have_executed``.

    If ``started`` is None (a custom adapter, a mock), ``may_have_executed`` is True unless ``error`` shows that
    connecting failed.
    """
    causes = list(_causes(error))
    place = origin(url)
    if any(isinstance(cause, _MISCONFIGURED) for cause in causes):
        return ConfigError(f"cannot reach {place}: its URL, or that of the proxy, is invalid")
    if type(error) is OSError and str(error).startswith("Could not find"):  # raised by requests
        return ConfigError(f"cannot read the CA bundle or certificate: {error}")
    reason, permanent = _reason(causes)
    if started is None:
        started = not (permanent or any(isinstance(cause, _NOT_CONNECTED) for cause in causes))
    if proxy:
        place += f" (through the proxy {origin(proxy)})"
    # urllib3's error for a refused connection is a subclass of a timeout.
    if any(isinstance(cause, _TIMEOUTS) and not isinstance(cause, _REFUSED) for cause in causes):
        activity = "waiting for" if started else "connecting to"
        return CallTimeout(f"timed out {activity} {place}", may_have_executed=started)
    return TransportError(f"{reason}: {place}", may_have_executed=started, permanent=permanent)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and all its causes: the libraries keep them in ``args``, ``reason`` and the chain."""
    waiting, seen = [error], set()
    while waiting:
        cause = waiting.pop()
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            waiting += [cause.__context__, cause.__cause__, getattr(cause, "reason", None), *cause.args]


def is_of_hook(error: BaseException) -> bool:
    """Return whether ``error`` is from a response hook, such as a failure to write a file or to parse JSON."""
    if isinstance(error, (SideFXError, requests.exceptions.InvalidJSONError)) or not isinstance(error, NETWORK_ERRORS):
        return True
    return isinstance(error, _DISK_ERRORS) or getattr(error, "errno", None) in _DISK_ERRNOS


def _reason(causes: list[BaseException]) -> tuple[str, bool]:
    """Return the reason in words, and whether every retry fails for the same reason."""
    for cause in causes:
        if isinstance(cause, _CERTIFICATE):
            return f"the certificate was refused ({_certificate_problem(cause)})", True
        # Exact classes, because a subclass such as BadStatusLine shows text of the server.
        refused = type(cause) is OSError and re.match(r"Tunnel connection failed: (\d+)", str(cause))
        if refused:
            return f"the proxy refused the connection with status {refused[1]}", True
        if type(cause) in (http.client.HTTPException, http.client.LineTooLong):
            return clean(str(cause), one_line=True), False
        if isinstance(cause, urllib3.exceptions.HeaderParsingError):
            return "the response head is malformed", False
        if isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE):
            return "too many open files (see ulimit -n)", False
        if isinstance(cause, socket.gaierror):
            return "the host name does not resolve", False
        if isinstance(cause, ConnectionRefusedError):
            return "the connection was refused", False
        if isinstance(cause, ssl.SSLError):
            reason = getattr(cause, "reason", None) or "the connection was closed"  # an error made by a mock lacks it
            if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"):
                reason = "the server does not speak TLS on this port; for a proxy write http:// in its URL"
            return f"TLS failed ({reason})", False
    return "the connection was closed before the response was complete", False


def _certificate_problem(error: BaseException) -> str:
    problem = getattr(error, "verify_message", None) or clean(str(error), one_line=True)
    if "Missing Authority Key Identifier" in problem or "Basic Constraints" in problem:
        return f"{problem}; Python 3.13 checks more strictly: renew the CA certificate, or use an older Python"
    if "issuer" in problem or "self" in problem:
        return f"{problem}; ca_bundle= or REQUESTS_CA_BUNDLE names a studio's own CA"
    return problem
