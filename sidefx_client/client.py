"""One account at one endpoint, and one call: encode, send, retry, decode."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from typing import Any

from .auth import TokenManager
from .credentials.find import find
from .credentials.token_cache import TokenCache
from .errors import APIError, ConfigError, SideFXError, clean
from .retry import RetryPolicy, is_read_only
from .secret import Secret, optional
from .transport.multipart import SourceError
from .transport.session import DEFAULT_TIMEOUT, Session, Timeout, build_post, endpoint, require_timeout
from .urls import require_safe_url
from .wire import decode, encoded

ACCESS_TOKEN_URL = "https://www.sidefx.com/oauth2/application_token"
ENDPOINT_URL = "https://www.sidefx.com/api/"


class Client:
    """The part of a Service that makes calls, with its session and tokens; safe to share between threads.

    The parameters are those of ``service()``: ``credentials`` are the caller's client id and secret, and
    ``session_options`` are those of Session. The constructor sends nothing. Raises ConfigError.
    """

    # Seconds, (seconds to connect, seconds between bytes), or None to wait for ever.
    timeout: Timeout = DEFAULT_TIMEOUT

    def __init__(
        self,
        endpoint_url: str | None,
        access_token: str | Secret | None,
        access_token_expiry_time: float | None,
        timeout: Timeout = DEFAULT_TIMEOUT,
        *,
        credentials: tuple[str | None, Secret | None] = (None, None),
        access_token_url: str | None = None,
        token_cache: str | os.PathLike[str] | None = None,
        retries: int = 3,
        **session_options: Any,
    ) -> None:
        token = optional(access_token)
        del access_token  # frames that raise must not hold it
        default = os.environ.get("SIDEFX_ACCESS_TOKEN_URL") or ACCESS_TOKEN_URL
        token_url = require_safe_url(default if access_token_url is None else access_token_url, "access_token_url")
        default = os.environ.get("SIDEFX_ENDPOINT_URL") or ENDPOINT_URL
        self.endpoint_url = default if endpoint_url is None else endpoint_url
        self.timeout = timeout
        if not isinstance(retries, int) or isinstance(retries, bool) or retries < 0:
            raise ConfigError(f"retries must be a number, 0 or more, not {retries!r}")
        self._retries = retries
        cache = None if token_cache is None else TokenCache(token_cache, token_url)
        self._session = Session(**session_options)
        search = functools.partial(find, *credentials, token_url=token_url)
        self._tokens = TokenManager(self._session, token_url, search, cache, retries)
        self._tokens.use(token, access_token_expiry_time)

    @property
    def endpoint_url(self) -> str:
        return self._endpoint_url

    @endpoint_url.setter
    def endpoint_url(self, url: str) -> None:
        self._endpoint = endpoint(require_safe_url(url, "endpoint_url"))
        self._endpoint_url = url

    @property
    def access_token(self) -> str | None:
        """The current token in plain text. A new value is used from the next call on."""
        value = self._tokens.token.value
        return value.reveal() if value is not None else None

    @access_token.setter
    def access_token(self, value: str | None) -> None:
        given = optional(value)
        del value
        self._tokens.use(given)

    @property
    def access_token_expiry_time(self) -> float | None:
        """When the token is renewed, in seconds since the epoch; None if that is not known."""
        return self._tokens.token.expiry

    @access_token_expiry_time.setter
    def access_token_expiry_time(self, expiry: float | None) -> None:
        self._tokens.use(self._tokens.token.value, expiry)

    def close(self) -> None:
        """Close the connections. Later calls raise TypeError."""
        self._session.close()

    def _require_token(self) -> None:
        """Request a token unless one is given or cached. If that fails, close the session and raise."""
        try:
            self._tokens.get(require_timeout(self.timeout))
        except BaseException:
            self.close()
            raise

    def _call(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], timeout: Timeout) -> Any:
        """Call a function and return its result: a JSON value, None, or a ResponseFile.

        Raises the errors of errors.py, and TypeError, ValueError or OSError for arguments that cannot be sent.
        """
        timeout = require_timeout(timeout)
        label = name if name.isprintable() else clean(name, one_line=True)
        policy: RetryPolicy | None = None
        with encoded(name, args, kwargs) as body:
            token = self._tokens.get(timeout)
            while True:
                request = build_post(self._endpoint, body, token)
                try:
                    return decode(self._session.send(request, timeout, label))
                except SourceError as error:
                    reason = error.args[0]
                    break
                except SideFXError as error:
                    failure = error
                rejected = isinstance(failure, APIError) and failure.http_code == 401
                if rejected:
                    self._tokens.invalidate(token)
                policy = policy or RetryPolicy(label, self._retries, read_only=is_read_only(name))
                policy.pause(failure, self._session.wait, body)
                used, token = token, self._tokens.get(timeout)  # it may have expired while waiting
                if rejected and token.value is used.value:
                    raise failure
        raise reason  # from the caller's file or progress function
