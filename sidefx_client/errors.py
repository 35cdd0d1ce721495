"""Everything that this package raises on purpose.

    SideFXError
    ├── ConfigError (ValueError)                     before a byte was sent: credentials, a URL, an option
    ├── AuthorizationError                           the token endpoint refused, or gave no usable token
    ├── APIError                                     the API answered, but not with a result
    │   └── RateLimitError                           still 429, or told to wait for more than 60 s
    ├── TransportError (requests.ConnectionError)    no complete answer
    │   └── CallTimeout (requests.Timeout)
    └── DownloadError                                a file could not be made whole
        └── ChecksumError

Each leaf is there because a caller acts differently on it. Arguments that JSON cannot hold are a plain TypeError or
ValueError. Every exception survives pickle, and none holds or chains a secret.
"""

from __future__ import annotations

from typing import Any

import requests


class SideFXError(Exception):
    """The root: ``except SideFXError`` catches whatever this package raises on purpose."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def add_hint(self, hint: str) -> None:
        """Ends the message with what else a reader should know."""
        self.message = f"{self.message} ({hint})"
        self.args = (self.message,)

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions are rebuilt from `args`, which holds the message alone: the subclasses below take more than that.
        return _rebuild, (type(self), self.args, self.__dict__.copy())


class ConfigError(SideFXError, ValueError):
    """Something is missing or wrong before a byte was sent; the message says where to put it right."""


class AuthorizationError(SideFXError):
    """The token endpoint refused (403: a bad pair of id and secret), or gave no usable token.

    ``http_code`` is the status of its answer; ``message`` begins with ``"<code>: "``.
    """

    def __init__(self, http_code: int, message: str) -> None:
        super().__init__(message)
        self.http_code = http_code


class APIError(SideFXError):
    """The API answered, but not with a result: ``http_code`` and the server's ``message``, never empty.

    422 carries a text meant for the user, 500 the traceback on the server. ``str()`` is ``"<code> <message>"``.
    """

    def __init__(self, http_code: int, message: str) -> None:
        super().__init__(message)
        self.http_code = http_code

    def __str__(self) -> str:
        return f"{self.http_code} {self.message}"


class RateLimitError(APIError):
    """The API still says 429, or told us to wait for more than 60 s.

    ``retry_after`` is the wait that it asked for, in seconds, or None where it named none.
    """

    def __init__(self, http_code: int, message: str, retry_after: float | None = None) -> None:
        super().__init__(http_code, message)
        self.retry_after = retry_after


class TransportError(SideFXError, requests.ConnectionError):
    """No complete answer came: no connection, a cut, a timeout.

    ``may_have_executed`` is False only where the server cannot have acted on the call, so that it is safe to call
    again. ``lasting``: the same call can only fail the same way (a bad certificate, a proxy that refuses).
    """

    # requests' exceptions are OSErrors, which read two arguments as (errno, text): exactly one goes to them, and no
    # request and no response, for those hold the bearer token.
    def __init__(self, message: str, may_have_executed: bool = False, lasting: bool = False) -> None:
        super().__init__(message)
        self.may_have_executed = may_have_executed
        self.lasting = lasting


class CallTimeout(TransportError, requests.Timeout):
    """The server was silent for longer than ``timeout``."""


class DownloadError(SideFXError):
    """A file could not be made whole; the partial is kept where the next run can resume it.

    ``http_code`` is the status that ended it, or None where it was not a status.
    """

    def __init__(self, message: str, http_code: int | None = None) -> None:
        super().__init__(message)
        self.http_code = http_code


class ChecksumError(DownloadError):
    """All bytes came, but not the right ones; they are not kept, and the next run starts anew."""


def _rebuild(kind: type[SideFXError], args: tuple[Any, ...], attributes: dict[str, Any]) -> SideFXError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(attributes)
    return error
