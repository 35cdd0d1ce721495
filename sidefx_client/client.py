"""One account at one endpoint, and one call: encode, send, retry, decode."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from .auth import AccessToken, TokenManager
from .credentials.find import find
from .credentials.token_cache import TokenCache
from .errors import APIError, ConfigError, SideFXError, clean
from .retry import RetryPolicy, is_read_only
from .secret import Secret
from .transport.multipart import SourceError
from .transport.session import Session, Timeout, build_post, endpoint, require_timeout
from .urls import require_safe_url
from .wire import EncodedCall, decode

ACCESS_TOKEN_URL = "https://www.sidefx.com/oauth2/application_token"
ENDPOINT_URL = "https://www.sidefx.com/api/"
BACKOFF = 0.5  # seconds before the first retry, doubled each time


class Client:
    """Makes calls, with its session and tokens; safe to share between threads.

    The parameters are those of ``service()``: ``given`` is the caller's client id and secret, ``token`` the caller's
    token, and ``session_options`` are those of Session. Nothing is sent yet. The attribute ``backoff`` is the
    first wait between two attempts in seconds, which is doubled each time. Raises ConfigError.
    """

    def __init__(
        self,
        given: tuple[str | None, Secret | None],
        token: AccessToken | None,
        access_token_url: str | None,
        endpoint_url: str | None,
        timeout: Timeout,
        *,
        token_cache: str | os.PathLike[str] | None = None,
        retries: int = 3,
        **session_options: Any,
    ) -> None:
        if access_token_url is None:
            access_token_url = os.environ.get("SIDEFX_ACCESS_TOKEN_URL") or ACCESS_TOKEN_URL
        if endpoint_url is None:
            endpoint_url = os.environ.get("SIDEFX_ENDPOINT_URL") or ENDPOINT_URL
        token_url = require_safe_url(access_token_url, "access_token_url")
        self.endpoint_url = endpoint_url
        require_timeout(timeout)
        self.timeout = timeout
        if not isinstance(retries, int) or isinstance(retries, bool) or retries < 0:
            raise ConfigError(f"retries must be a number, 0 or more, not {retries!r}")
        self.retries = retries
        self.backoff = BACKOFF
        cache = None if token_cache is None else TokenCache(token_cache, token_url)
        self.session = Session(**session_options)
        self.tokens = TokenManager(
            self.session, token_url, lambda: find(*given, token_url=token_url), token, cache, retries, BACKOFF
        )

    @property
    def endpoint_url(self) -> str:
        return self._endpoint_url

    @endpoint_url.setter
    def endpoint_url(self, url: str) -> None:
        self._endpoint = endpoint(require_safe_url(url, "endpoint_url"))
        self._endpoint_url = url

    def call(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], timeout: Timeout) -> Any:
        """Call a function and return its result: a JSON value, None, or a ResponseFile.

        Raises the errors of errors.py, and TypeError, ValueError or OSError for arguments that cannot be sent.
        """
        self.session.require_open()
        timeout = require_timeout(timeout)
        label = name if name.isprintable() else clean(name, one_line=True)
        policy: RetryPolicy | None = None
        with EncodedCall(name, args, kwargs) as call:
            token = self.tokens.get(timeout)
            for attempt in itertools.count(1):
                request = build_post(self._endpoint, call.body, call.length, call.content_type, token)
                try:
                    return decode(self.session.send(request, timeout, f"{label} (attempt {attempt})"))
                except SourceError as error:  # from the caller's file or progress function
                    reason = error.error
                    break
                except SideFXError as error:
                    failure = error
                policy = policy or RetryPolicy(label, self.retries, self.backoff, read_only=is_read_only(name))
                delay = policy.delay(failure)
                rejected = isinstance(failure, APIError) and failure.http_code == 401
                if rejected:
                    self.tokens.invalidate(token)
                if delay is None:
                    raise failure
                if not call.rewind():
                    failure.add_hint("the upload cannot be read a second time, so it was not sent again")
                    raise failure
                policy.log(failure, delay)
                self.session.wait(delay)
                used, token = token, self._renew(token, timeout)  # it may have expired while waiting
                if rejected and token is used:
                    raise failure
            raise reason

    def _renew(self, token: AccessToken, timeout: Timeout) -> AccessToken:
        # Without credentials to request a new token, keep this one and let the server reject it.
        with contextlib.suppress(ConfigError):
            return self.tokens.get(timeout)
        return token

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Client holds connections and a token: make one in each process, it cannot be pickled")
