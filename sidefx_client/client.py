"""One account at one endpoint, and one call: encode, send, retry, decode."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from .auth import AccessToken, TokenManager
from .credentials.find import Credentials, find
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
    """Makes calls; safe to share between threads.

    ``timeout`` is the default of its calls, ``retries`` the greatest number of retries of a call, ``backoff`` the first
    wait between two attempts in seconds, which is doubled each time.
    """

    def __init__(
        self,
        session: Session,
        tokens: TokenManager,
        endpoint_url: str,
        timeout: Timeout,
        retries: int,
        backoff: float = BACKOFF,
    ) -> None:
        self.session = session
        self.tokens = tokens
        self.endpoint_url = endpoint_url
        self.timeout = timeout
        self.retries = retries
        self.backoff = backoff

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
                used, token = token, self._renew(token, timeout)  # the wait may have outlasted it
                if rejected and token is used:
                    raise failure
            raise reason

    def _renew(self, token: AccessToken, timeout: Timeout) -> AccessToken:
        # Without credentials to request a new token, keep this one and let the server reject it.
        with contextlib.suppress(ConfigError):
            return self.tokens.get(timeout)
        return token

    def close(self) -> None:
        """Close idle connections and end waits. Calls that other threads have in flight run to their end."""
        self.session.close()

    def __repr__(self) -> str:
        return f"<Client of {self.endpoint_url}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Client holds connections and a token: make one in each process, it cannot be pickled")


def open_client(
    given: tuple[str | None, Secret | None],
    token: AccessToken | None,
    access_token_url: str | None,
    endpoint_url: str | None,
    timeout: Timeout,
    *,
    token_cache: str | os.PathLike[str] | None = None,
    retries: int = 3,
    **session_options: Any,
) -> Client:
    """Return a client with its session and tokens, from the arguments of ``service()``. Nothing is sent yet.

    ``given`` is the caller's client id and secret; ``session_options`` are those of Session. Raises ConfigError.
    """
    if access_token_url is None:
        access_token_url = os.environ.get("SIDEFX_ACCESS_TOKEN_URL") or ACCESS_TOKEN_URL
    if endpoint_url is None:
        endpoint_url = os.environ.get("SIDEFX_ENDPOINT_URL") or ENDPOINT_URL
    token_url = require_safe_url(access_token_url, "access_token_url")
    require_safe_url(endpoint_url, "endpoint_url")
    require_timeout(timeout)
    if not isinstance(retries, int) or isinstance(retries, bool) or retries < 0:
        raise ConfigError(f"retries must be a number, 0 or more, not {retries!r}")

    def find_credentials() -> Credentials:
        return find(*given, token_url=token_url)

    cache = TokenCache(token_cache, token_url) if token_cache is not None else None
    session = Session(**session_options)
    tokens = TokenManager(session, token_url, find_credentials, token, cache, retries=retries, backoff=BACKOFF)
    return Client(session, tokens, endpoint_url, timeout, retries, BACKOFF)
