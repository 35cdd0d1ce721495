"""The access token: fetched, kept until just before it expires, attached, renewed once, shared between threads.

Between processes it is shared through a TokenCache. A token is in no frame that raises (see sealed).
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable
from typing import Any

from requests.auth import AuthBase

from . import forks, wire
from .api_errors import json_error
from .credentials.find import Credentials
from .credentials.token_cache import LONGEST, TokenCache, is_token
from .errors import APIError, AuthorizationError, ConfigError, SideFXError
from .files import ResponseFile
from .retry import with_retries
from .sealed import Sealed
from .transport.prepared import endpoint, post
from .transport.session import Session, Timeout

_MARGIN = 60.0  # seconds before its expiry that a token is renewed; a tenth of the lifetime of a short one


class Bearer(AuthBase):
    """One access token; an empty one sends no Authorization header (the local hserver wants none).

    ``expiry`` is when it is due to be renewed, in seconds since the epoch, or None where nobody knows.
    """

    __slots__ = ("_value", "expiry")

    def __init__(self, value: str, expiry: float | None) -> None:
        self._value = value
        self.expiry = expiry

    def __call__(self, request: Any) -> Any:
        if self._value:
            request.headers["Authorization"] = f"Bearer {self._value}"
        return request

    def __repr__(self) -> str:
        return f"<Bearer until {self.expiry}>"

    @property
    def valid(self) -> bool:
        return not self._value or self.expiry is None or time.time() < self.expiry

    def reveal(self) -> str:
        """The token in clear."""
        return self._value


def given_bearer(given: Sealed) -> Bearer | None:
    """The given token and its expiry, or ConfigError; the token is in no frame that raises."""
    access_token, expiry = given()
    if access_token is None:
        return None
    usable = access_token == "" or is_token(access_token)
    bearer = Bearer(access_token if usable else "", expiry)
    del access_token
    if not usable:
        raise ConfigError("access_token must be a token in one word of visible ASCII, or '' to send none")
    if expiry is not None and (not isinstance(expiry, (int, float)) or isinstance(expiry, bool)):
        raise ConfigError("access_token_expiry_time must be in seconds since the epoch, or None")
    return bearer


class _Basic(AuthBase):
    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def __call__(self, request: Any) -> Any:
        request.headers["Authorization"] = self._credentials.basic()
        return request


class Token:
    """The current token of one account, for any number of threads.

    ``find`` returns the credentials or raises ConfigError, ``fetch`` asks the endpoint with them, ``bearer`` is what
    the caller gave, ``cache`` what other processes left. Threads that wait for one fetch share its outcome, also where
    that is an error: each of them would wait in its turn for an endpoint that is down.
    """

    def __init__(
        self,
        find: Callable[[], Credentials],
        fetch: Callable[[Credentials, Timeout], Bearer],
        bearer: Bearer | None = None,
        cache: TokenCache | None = None,
    ) -> None:
        self._find = find
        self._fetch = fetch
        self._cache = cache
        self.bearer = bearer
        self._refused: Bearer | None = None
        self._lock = threading.Lock()
        self._failed: tuple[SideFXError, Timeout] | None = None  # the last fetch that failed, with its timeout
        forks.watch(self)

    def current(self, timeout: Timeout) -> Bearer:
        """A token that is good by the clock and was not refused: ours, a cached one, or a new one.

        One that was refused is returned all the same where there are no credentials to ask for another. Raises
        ConfigError without credentials, AuthorizationError where the endpoint refuses, TransportError.
        """
        good = self._good()
        if good is not None:
            return good
        failed = self._failed
        with self._lock:
            good = self._good()  # another thread's, for which we waited
            if good is not None:
                return good
            if self._failed is not None and self._failed is not failed and self._failed[1] == timeout:
                raise copy.copy(self._failed[0])
            bearer = self.bearer
            try:
                new = self._obtain(timeout)
            except ConfigError:
                if bearer is None or not bearer.valid:
                    raise
                return bearer
            except SideFXError as error:
                self._failed = copy.copy(error), timeout  # a copy has no traceback, and so nothing of its frames
                raise
            if self.bearer is bearer:  # else the caller has set another meanwhile
                self.bearer = new
            return self._good() or new

    def refuse(self, bearer: Bearer) -> None:
        """The server takes this token no more. Who gave an empty one wanted none to be sent: no other is fetched."""
        if bearer.reveal() and bearer is self.bearer:  # a late answer to an older one says nothing of the current one
            self._refused = bearer

    def after_fork_in_child(self) -> None:
        self._lock = threading.Lock()

    def _good(self) -> Bearer | None:
        bearer = self.bearer
        return bearer if bearer is not None and bearer.valid and bearer is not self._refused else None

    def _obtain(self, timeout: Timeout) -> Bearer:
        credentials = self._find()
        cached = self._cached(credentials)
        if cached is not None:
            return cached
        bearer = self._fetch(credentials, timeout)
        if self._cache is not None and bearer.expiry is not None:
            self._cache.put(credentials.client_id, bearer.reveal(), bearer.expiry)
        return bearer

    def _cached(self, credentials: Credentials) -> Bearer | None:
        found = self._cache.get(credentials.client_id) if self._cache is not None else None
        if found is None or (self._refused is not None and found[0] == self._refused.reveal()):
            return None
        return Bearer(*found)


def fetch_token(
    session: Session,
    url: str,
    credentials: Credentials,
    timeout: Timeout,
    *,
    retries: int,
    backoff: float,
    pause: Callable[[float], object],
) -> Bearer:
    """A new token from the endpoint at ``url``: client credentials, HTTP Basic (RFC 6749, section 4.4).

    ``grant_type`` goes to URLs that end in ``/token`` or ``/token/`` only, as the reference wrapper has it. Raises
    AuthorizationError with the endpoint's own words, or TransportError.
    """
    body = b"grant_type=client_credentials" if url.rstrip("/").endswith("/token") else b""
    started = time.time()
    target = endpoint(url)

    def send(attempt: int) -> Any:
        request = post(target, body, len(body), "application/x-www-form-urlencoded", _Basic(credentials))
        return wire.decode(session.send(request, timeout, f"token (attempt {attempt})"))

    try:
        answer = with_retries(
            send, what="token", read_only=True, retries=retries, backoff=backoff, prepare=_as_before, pause=pause
        )
    except APIError as error:
        code, text = error.http_code, json_error(error.message)
    else:
        bearer = _bearer(answer, started)
        del answer  # in no frame that raises
        if bearer is not None:
            return bearer
        code = 200
    if 200 <= code < 300:  # what came may hold a token: it is not shown
        text = "the endpoint gave no usable token: is access_token_url right?"
    refused = AuthorizationError(code, f"{code}: {text}")
    if code in (400, 401, 403):
        refused.add_hint(f"the credentials are from {credentials.source}")
    raise refused


def _as_before(failure: Exception) -> bool:
    return getattr(failure, "http_code", None) != 401  # from here that is the client secret, not an old token


def _bearer(answer: Any, started: float) -> Bearer | None:
    """The token in an answer (RFC 6749, section 5.1), its lifetime counted from before it was asked for."""
    if isinstance(answer, ResponseFile):
        answer.close()
    if not isinstance(answer, dict) or not is_token(answer.get("access_token")):
        return None
    lifetime = answer.get("expires_in")
    if lifetime is None:
        return Bearer(answer["access_token"], None)
    try:
        seconds = float(lifetime)
    except (TypeError, ValueError, OverflowError):
        return None
    if isinstance(lifetime, bool) or not seconds > 0:  # also NaN
        return None
    seconds = min(seconds, LONGEST)
    return Bearer(answer["access_token"], started + seconds - min(_MARGIN, seconds / 10))
