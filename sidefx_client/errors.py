"""The exceptions of this package, its logger, and the cleaning of server text that both show.

    SideFXError
    ├── ConfigError (ValueError)                     before a byte was sent: credentials, a URL, an option
    ├── AuthorizationError                           the token endpoint refused, or gave no usable token
    ├── APIError                                     the API responded, but not with a result
    │   └── RateLimitError                           still 429, or a Retry-After of more than 120 s
    ├── TransportError (requests.ConnectionError)    no complete response
    │   └── CallTimeout (requests.Timeout)
    └── DownloadError                                a file could not be completed
        └── ChecksumError

Each leaf exists because a caller acts differently on it. Arguments that JSON cannot hold raise a plain TypeError or
ValueError. Every exception survives pickle, and none holds or chains a secret.
"""

from __future__ import annotations

import logging
import re
from typing import Any

import requests

from .secret import live_secrets

logger = logging.getLogger("sidefx_client")  # a DEBUG line for each request, a WARNING for each retry
logger.addHandler(logging.NullHandler())  # silent until the application configures logging

_REDACTED = "<redacted>"
_URL = re.compile(r"(https?:(?:\\?/){2}[^\s?\"<>]*)(\?[^\s\"<>]*)?", re.IGNORECASE)
_NAMED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;", " ": "+"}  # in HTML, and in a form
_BLANKS = "\xa0\u3000"  # of HTML and of Japanese text, for which isprintable() is False


class SideFXError(Exception):
    """The root of all errors that this package raises on purpose."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def add_hint(self, hint: str) -> None:
        """Append a hint to the message."""
        self.message = f"{self.message} ({hint})"
        self.args = (self.message,)

    def __reduce__(self) -> tuple[Any, ...]:
        # Python rebuilds an exception from `args`, but the subclasses take more arguments than the message.
        return type(self).__new__, (type(self),), {**vars(self), "args": self.args}


class ConfigError(SideFXError, ValueError):
    """A setting is missing or wrong. Raised before a byte was sent; the message says how to correct it."""


class AuthorizationError(SideFXError):
    """The token endpoint refused the credentials (403: a wrong id or secret), or gave no usable token.

    ``http_code`` is the status of its response; ``message`` begins with ``"<code>: "``.
    """

    def __init__(self, http_code: int, message: str) -> None:
        super().__init__(message)
        self.http_code = http_code


class APIError(SideFXError):
    """The API responded, but not with a result: ``http_code`` and the server's ``message``, never empty.

    422 has a message for the user, and 500 the traceback of the server. ``str()`` is ``"<code> <message>"``.
    ``retry_after`` is the wait in seconds that the server asked for, or None.
    """

    def __init__(self, http_code: int, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.http_code = http_code
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.http_code} {self.message}"


class RateLimitError(APIError):
    """The API still responds with 429 after the retries, or asks for a wait of more than 120 s."""

    def __init__(self, http_code: int, message: str, retry_after: float | None = None) -> None:
        super().__init__(http_code, message, retry_after=retry_after)

    def __str__(self) -> str:
        wait = "" if self.retry_after is None else f" (retry after {self.retry_after:.0f} s)"
        return super().__str__() + wait


class TransportError(SideFXError, requests.ConnectionError):
    """No complete response arrived: connection failed, truncated response, or timeout.

    ``may_have_executed`` is False only if the server cannot have executed the call, so that it is safe to call again.
    ``permanent``: the same call fails the same way again (a bad certificate, a proxy that refuses). Version 1.0
    called it ``lasting``.
    """

    # requests' exceptions are OSErrors, which read two arguments as (errno, text), so they get the message alone.
    # Request and response are not passed either, because they hold the bearer token.
    def __init__(self, message: str, may_have_executed: bool = False, permanent: bool = False) -> None:
        super().__init__(message)
        self.may_have_executed = may_have_executed
        self.permanent = self.lasting = permanent


class CallTimeout(TransportError, requests.Timeout):
    """The server did not respond within ``timeout``."""


class DownloadError(SideFXError):
    """A file could not be completed. The partial file is kept if the next run can resume it.

    ``http_code`` is the status that ended the download, or None if another reason did.
    """

    def __init__(self, message: str, http_code: int | None = None) -> None:
        super().__init__(message)
        self.http_code = http_code


class ChecksumError(DownloadError):
    """The file has a wrong MD5. It is not kept, and the next run starts from the beginning."""


def clean(text: str, *, one_line: bool = False) -> str:
    """Return server text that is safe in messages, log lines and terminals.

    Secrets are redacted. Control and bidi characters are escaped. Line ends become ``\\n``, or are escaped if
    ``one_line``.
    """
    text = redact(text).replace("\r\n", "\n").replace("\r", "\n")
    kept = _BLANKS if one_line else _BLANKS + "\n"
    return "".join(c if c.isprintable() or c in kept else c.encode("unicode_escape").decode("ascii") for c in text)


def redact(text: str) -> str:
    """Replace the secrets that this process holds, and the queries of URLs, by ``<redacted>``."""
    for secret in live_secrets():
        text = re.sub(_pattern(secret.reveal()), _REDACTED, text, flags=re.IGNORECASE)
    # URLs without a query match too, because a long text of URLs would take quadratic time otherwise.
    return _URL.sub(lambda url: f"{url[1]}?{_REDACTED}" if url[2] else url[0], text)


def _pattern(value: str) -> str:
    """Return a pattern for ``value`` as it is and as URLs, HTML and JSON escape it."""
    return "".join(c if c.isalnum() and c.isascii() else _alternatives(c) for c in value)


def _alternatives(c: str) -> str:
    """Return a pattern for the character ``c`` and its escaped forms, the longest first."""
    in_url = re.sub("(..)", r"%\1", c.encode("utf-8", "surrogatepass").hex())
    in_json = re.sub("(....)", r"\\u\1", c.encode("utf-16-be", "surrogatepass").hex())
    forms = map(re.escape, (in_json, in_url, _NAMED.get(c, c), f"\\{c}", c))
    return "(?:" + "|".join([rf"&\#0*{ord(c)};", rf"&\#x0*{ord(c):x};", *forms]) + ")"
