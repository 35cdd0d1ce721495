"""What requests, urllib3, http.client, ssl and socket raise, told as one TransportError in words of our own.

Their exceptions are not chained: they hold the request, and so the bearer token, and their texts may hold a
proxy's password.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from collections.abc import Iterator

import requests
import urllib3
from urllib3.util.ssl_match_hostname import CertificateError

from ..errors import CallTimeout, ConfigError, SideFXError, TransportError
from ..urls import origin

FAILURES = (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError)

_TIMEOUTS = (socket.timeout, TimeoutError, requests.Timeout, urllib3.exceptions.TimeoutError)
_MISCONFIGURED = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidProxyURL,
)
_REFUSED = urllib3.exceptions.NewConnectionError
_UNSENT = (_REFUSED, urllib3.exceptions.ConnectTimeoutError)


def transport_error(error: BaseException, url: str, sent: bool | None, proxy: str | None = None) -> SideFXError:
    """The error to raise for ``error``; ``sent``: whether a byte of the request went out (None: not known)."""
    causes = list(_causes(error))
    reason, lasting = _reason(causes)
    if sent is None:  # a foreign adapter's: only what must have come before the request is known not to have sent it
        sent = not lasting and not any(isinstance(cause, _UNSENT) for cause in causes)
    if any(isinstance(cause, _MISCONFIGURED) for cause in causes):
        return ConfigError(f"cannot reach {origin(url)}: its URL, or that of the proxy, cannot be used")
    place = origin(url)
    if proxy:
        place += f" (through the proxy {origin(proxy)})"
    # urllib3 calls a refused connection a timeout too.
    if any(isinstance(cause, _TIMEOUTS) and not isinstance(cause, _REFUSED) for cause in causes):
        what = "nothing came from or went to" if sent else "no connection to"
        return CallTimeout(f"{what} {place} within the timeout", may_have_executed=sent)
    return TransportError(f"{reason}: {place}", may_have_executed=sent, lasting=lasting)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and all that it was made from: the libraries keep it in ``args``, ``reason`` and the chain."""
    waiting, seen = [error], set()
    while waiting:
        cause = waiting.pop()
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            waiting += [cause.__context__, cause.__cause__, getattr(cause, "reason", None), *cause.args]


def _reason(causes: list[BaseException]) -> tuple[str, bool]:
    """What happened, in words, and whether it will happen again to whoever tries again."""
    for cause in causes:
        if isinstance(cause, (ssl.SSLCertVerificationError, CertificateError)):
            why = getattr(cause, "verify_message", None) or str(cause)
            hint = "; ca_bundle= names a studio's own CA" if "issuer" in why or "self" in why else ""
            return f"the certificate was refused ({why}{hint})", True
        refused = re.match(r"Tunnel connection failed: (\d+)", str(cause))
        if refused:
            return f"the proxy refused the connection with status {refused[1]}", True
    for cause in causes:
        if isinstance(cause, socket.gaierror):
            return "the name of the host does not resolve", False
        if isinstance(cause, ConnectionRefusedError):
            return "the connection was refused", False
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed ({cause.reason or 'cut'})", False
    return "the connection broke before the answer was whole", False
