"""The access token: requested, kept until just before it expires, attached, invalidated, shared between threads.

A TokenCache shares it between processes. No frame that raises holds a token in plain text (see secret.py).
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from requests.auth import AuthBase

from . import forks, wire
from .error_body import oauth_error
from .errors import APIError, AuthorizationError, ConfigError, SideFXError, clean
from .files import ResponseFile
from .retry import RetryPolicy
from .secret import Secret
from .transport.session import Session, Timeout, build_post, endpoint

if TYPE_CHECKING:
    from .credentials.find import Credentials
    from .credentials.token_cache import TokenCache

MAX_TOKEN_LIFETIME = 365 * 86400.0  # seconds
_MARGIN = 60.0  # seconds: a token is renewed this long before its expiry, or a tenth of its lifetime if less
_FORM = "application/x-www-form-urlencoded"


class AccessToken(AuthBase):
    """A token for the Authorization header. An empty one sends no header, as the local hserver expects.

    ``expiry`` is the time of its renewal in seconds since the epoch, or None if it is not known.
    """

    __slots__ = ("_value", "expiry")

    def __init__(self, value: Secret, expiry: float | None) -> None:
        self._value = value
        self.expiry = expiry

    def __call__(self, request: Any) -> Any:
        if self._value:
            request.headers["Authorization"] = f"Bearer {self._value.reveal()}"
        return request

    def __repr__(self) -> str:
        return f"<AccessToken until {self.expiry}>"

    @property
    def unexpired(self) -> bool:
        return not self._value or self.expiry is None or time.time() < self.expiry

    def reveal(self) -> str:
        """Return the token in plain text."""
        return self._value.reveal()


def given_token(value: Secret | None, expiry: object) -> AccessToken | None:
    """Return the token that a caller gave, or raise ConfigError."""
    if value is None:
        return None
    if value and not is_token(value.reveal()):
        raise ConfigError("access_token must be a token in one word of visible ASCII, or '' to send none")
    if expiry is not None and (not isinstance(expiry, (int, float)) or isinstance(expiry, bool)):
        raise ConfigError("access_token_expiry_time must be in seconds since the epoch, or None")
    return AccessToken(value, expiry)


def is_token(value: Any) -> bool:
    """Return whether ``value`` can stand in a header: visible ASCII."""
    return isinstance(value, str) and bool(value) and value.isascii() and value.isprintable() and " " not in value


class TokenManager:
    """The current token of one account, for any number of threads.

    ``find`` returns the credentials or raises ConfigError; ``url`` is the token endpoint; ``token`` is the caller's.
    Threads that wait for the same request share its result or its error, so that a broken endpoint delays them once.
    """

    def __init__(
        self,
        session: Session,
        url: str,
        find: Callable[[], Credentials],
        token: AccessToken | None,
        cache: TokenCache | None,
        retries: int,
        backoff: float,
    ) -> None:
        self._session = session
        self._endpoint = endpoint(url)
        # The reference wrapper sends grant_type to standard OAuth2 endpoints only.
        self._body = b"grant_type=client_credentials" if url.rstrip("/").endswith("/token") else b""
        self._find = find
        self._cache = cache
        self._retries = retries
        self._backoff = backoff
        self.token = token
        self._credentials: Credentials | None = None  # kept, because only live secrets are redacted
        self._invalidated: AccessToken | None = None
        self._lock = threading.Lock()
        self._failed: tuple[SideFXError, Timeout] | None = None  # the last failed request, with its timeout
        forks.run_after_fork(self)

    def get(self, timeout: Timeout) -> AccessToken:
        """Return an unexpired token that was not invalidated: the current one, a cached one, or a new one.

        An invalidated token is returned if there are no credentials to request another. Raises ConfigError without
        credentials, AuthorizationError if the endpoint refuses, or TransportError.
        """
        usable = self._usable()
        if usable is not None:
            return usable
        failed = self._failed
        with self._lock:
            usable = self._usable()  # that of another thread, for which this one waited
            if usable is not None:
                return usable
            if self._failed is not None and self._failed is not failed and self._failed[1] == timeout:
                raise copy.copy(self._failed[0])
            before = self.token
            try:
                new = self._load_or_request(timeout)
            except ConfigError:
                if before is None or not before.unexpired:
                    raise
                return before
            except SideFXError as error:
                self._failed = copy.copy(error), timeout  # a copy without the traceback and its frames
                raise
            if self.token is before:  # otherwise the caller has set another meanwhile
                self.token = new
            return self._usable() or new

    def invalidate(self, token: AccessToken) -> None:
        """Mark the token as rejected by the server. An empty token means no authentication and is never replaced."""
        if token.reveal() and token is self.token:  # a late response for an older token does not concern this one
            self._invalidated = token

    def after_fork_in_child(self) -> None:
        self._lock = threading.Lock()

    def _usable(self) -> AccessToken | None:
        token = self.token
        return token if token is not None and token.unexpired and token is not self._invalidated else None

    def _load_or_request(self, timeout: Timeout) -> AccessToken:
        credentials = self._credentials = self._find()
        # After a 401 a cached token is not used, because it may be revoked as well.
        rejected = self._invalidated is not None and self._invalidated is self.token
        if self._cache is not None and not rejected:
            cached = self._cache.get(credentials.client_id)
            if cached is not None:
                return AccessToken(*cached)
        token = self._request(credentials, timeout)
        if self._cache is not None and token.expiry is not None:
            self._cache.put(credentials.client_id, token._value, token.expiry)
        return token

    def _request(self, credentials: Credentials, timeout: Timeout) -> AccessToken:
        """Request a token with client credentials and HTTP Basic (RFC 6749, section 4.4)."""
        policy = RetryPolicy("token", self._retries, self._backoff, read_only=True)
        while True:
            started = time.time()
            request = build_post(self._endpoint, self._body, len(self._body), _FORM, credentials)
            try:
                response = self._session.send(request, timeout, f"token (attempt {policy.attempt})")
                token = _token_of(wire.decode(response), started)
                if token is not None:
                    return token
                failure: SideFXError = APIError(response.status_code, "")
            except SideFXError as error:
                failure = error
            code = getattr(failure, "http_code", None)
            delay = None if code == 401 else policy.delay(failure)  # 401 means a wrong secret, not an old token
            if delay is None:
                break
            policy.log(failure, delay)
            self._session.wait(delay)
        if isinstance(failure, APIError):
            failure = _authorization_error(failure, credentials.source)
        raise failure


def _authorization_error(failure: APIError, source: str) -> AuthorizationError:
    code, text = failure.http_code, clean(oauth_error(failure.message))
    if 200 <= code < 300:  # without the response, which may contain a token
        text = "the endpoint gave no usable token: check access_token_url"
    error = AuthorizationError(code, f"{code}: {text}")
    if code in (400, 401, 403):
        error.add_hint(f"the credentials are from {source}")
    return error


def _token_of(value: Any, started: float) -> AccessToken | None:
    """Return the token in a response (RFC 6749, section 5.1), or None. Its lifetime counts from before the request."""
    if isinstance(value, ResponseFile):
        value.close()
    if not isinstance(value, dict) or not is_token(value.get("access_token")):
        return None
    token, lifetime = AccessToken(Secret(value["access_token"]), None), value.get("expires_in")
    if lifetime is not None:
        try:
            seconds = min(float(lifetime), MAX_TOKEN_LIFETIME)
        except (TypeError, ValueError, OverflowError):
            return None
        if isinstance(lifetime, bool) or not seconds > 0:  # also NaN
            return None
        token.expiry = started + seconds - min(_MARGIN, seconds / 10)
    return token
