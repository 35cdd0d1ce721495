"""The access token: requested, kept until just before it expires, attached, invalidated, shared between threads.

A TokenCache shares it between processes. No frame that raises holds a token in plain text (see secret.py).
"""

from __future__ import annotations

import contextlib
import copy
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import requests

from . import wire
from .errors import APIError, AuthorizationError, ConfigError, SideFXError
from .files import ResponseFile
from .retry import RetryPolicy
from .secret import Secret
from .transport.adapter import run_after_fork
from .transport.session import Session, Timeout, build_post, endpoint

if TYPE_CHECKING:
    from .credentials.find import Credentials
    from .credentials.token_cache import TokenCache

MAX_TOKEN_LIFETIME = 365 * 86400.0  # seconds
_REJECTED = 0.0  # the expiry of a token that the server rejected
_MARGIN = 60.0  # seconds: a token is renewed this long before its expiry, or a tenth of its lifetime if less


class AccessToken(NamedTuple):
    """A token for the Authorization header. An empty one sends no header, as the local hserver expects.

    ``value`` is None if there is no token. ``expiry`` is the time to renew it in seconds since the epoch, or None if
    that is not known.
    """

    value: Secret | None
    expiry: float | None

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.value:
            request.headers["Authorization"] = f"Bearer {self.value.reveal()}"
        return request


def is_token(value: Any) -> bool:
    """Return whether ``value`` is text of visible ASCII, which a header can carry."""
    return isinstance(value, str) and bool(value) and value.isascii() and value.isprintable() and " " not in value


class TokenManager:
    """The current ``token`` of one account, for any number of threads.

    ``find`` returns the credentials or raises ConfigError; ``url`` is the token endpoint. Threads that wait for the
    same request share its result or error, so a broken endpoint delays them once.
    """

    def __init__(
        self, session: Session, url: str, find: Callable[[], Credentials], cache: TokenCache | None, retries: int
    ) -> None:
        self._session = session
        self._endpoint = endpoint(url)
        # The reference wrapper sends grant_type to standard OAuth2 endpoints only.
        self._body = "grant_type=client_credentials" if url.rstrip("/").endswith("/token") else ""
        self._find = find
        self._cache = cache
        self._retries = retries
        self.token = AccessToken(None, None)
        self._credentials: Credentials | None = None  # kept, because only live secrets are redacted
        self._lock = threading.Lock()
        self._failed: tuple[SideFXError, Timeout] | None = None  # the last failed request, with its timeout
        run_after_fork(self)

    def use(self, value: Secret | None, expiry: float | None = None) -> None:
        """Use the caller's token from the next call on, or raise ConfigError."""
        if value and not is_token(value.reveal()):
            raise ConfigError("access_token must be a token in one word of visible ASCII, or '' to send none")
        if expiry is not None and (not isinstance(expiry, (int, float)) or isinstance(expiry, bool)):
            raise ConfigError("access_token_expiry_time must be in seconds since the epoch, or None")
        self.token = AccessToken(value, expiry)

    def get(self, timeout: Timeout) -> AccessToken:
        """Return an unexpired token that was not invalidated: the current one, a cached one, or a new one.

        Without credentials to request another, return the current one, so that the server rejects it. Raises
        ConfigError if there is no current token, AuthorizationError if the endpoint refuses, or TransportError.
        """
        failed = self._failed
        if usable := self._usable():
            return usable
        with self._lock:
            if usable := self._usable():  # requested by another thread while this one waited
                return usable
            if self._failed is not None and self._failed is not failed and self._failed[1] == timeout:
                raise copy.copy(self._failed[0])
            before = self.token
            try:
                new = self._load_or_request(timeout)
            except ConfigError:
                if before.value is None:
                    raise
                return before
            except SideFXError as error:
                self._failed = copy.copy(error), timeout  # a copy without the traceback and its frames
                raise
            if self.token is before:  # otherwise the caller has set another token meanwhile
                self.token = new
            return self._usable() or new

    def invalidate(self, token: AccessToken) -> None:
        """Mark the token as rejected by the server. An empty token means no authentication and is never replaced."""
        with self._lock:
            if token.value and token is self.token:  # a late response for an older token does not concern this one
                self.token = token._replace(expiry=_REJECTED)

    def after_fork_in_child(self) -> None:
        self._lock = threading.Lock()

    def _usable(self) -> AccessToken | None:
        token = self.token
        is_usable = token.value is not None and (not token.value or token.expiry is None or time.time() < token.expiry)
        return token if is_usable else None

    def _load_or_request(self, timeout: Timeout) -> AccessToken:
        credentials = self._credentials = self._find()
        # After a 401 a cached token is not used, because it may be revoked as well.
        cached = self._cache.get(credentials.client_id) if self._cache and self.token.expiry != _REJECTED else None
        if cached is not None:
            return AccessToken(*cached)
        try:
            token = self._request(credentials, timeout)
            if self._cache and token.value and token.expiry is not None:
                self._cache.put(credentials.client_id, token.value, token.expiry)
            return token
        except APIError as error:
            code, text = error.http_code, error.message
        if 200 <= code < 300:  # the response is not shown, because it may contain a token
            text = "the endpoint gave no usable token: check access_token_url"
        if code in (400, 401, 403):
            text += f" (the credentials are from {credentials.source})"
        raise AuthorizationError(code, f"{code}: {text}")  # not in the handler, which would chain a token

    def _request(self, credentials: Credentials, timeout: Timeout) -> AccessToken:
        """Request a token with client credentials and HTTP Basic (RFC 6749, section 4.4)."""
        policy = RetryPolicy("token", self._retries, read_only=True)
        while True:
            started = time.time()
            request = build_post(self._endpoint, self._body, credentials)
            try:
                response = self._session.send(request, timeout, "token")
                if token := _token_of(wire.decode(response), started):
                    return token
                failure: SideFXError = APIError(response.status_code, "")
            except SideFXError as error:
                failure = error
            if getattr(failure, "http_code", None) == 401:  # a wrong secret, not an old token
                raise failure
            policy.pause(failure, self._session.wait)


def _token_of(value: Any, started: float) -> AccessToken | None:
    """Return the token in a response (RFC 6749, section 5.1), or None. Its lifetime counts from before the request."""
    if isinstance(value, ResponseFile):
        value.close()
    if not isinstance(value, dict) or not is_token(value.get("access_token")):
        return None
    token, lifetime = Secret(value["access_token"]), value.get("expires_in")
    if lifetime is None:
        return AccessToken(token, None)
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        seconds = min(float(lifetime), MAX_TOKEN_LIFETIME)
        if seconds > 0 and lifetime is not True:  # False for NaN
            return AccessToken(token, started + seconds - min(_MARGIN, seconds / 10))
    return None
