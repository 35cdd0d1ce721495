"""One account at one endpoint: ties session, token, wire and retry together."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import requests

from .auth import Bearer, Token, fetch_token
from .credentials.find import Credentials, find
from .credentials.token_cache import TokenCache
from .documented import functions as catalogue
from .errors import APIError, ConfigError, SideFXError
from .retry import with_retries
from .sealed import Sealed
from .transport.multipart import SourceError
from .transport.prepared import endpoint, post
from .transport.session import Session, Timeout, checked_timeout
from .urls import checked
from .wire import Encoded, decode

# What a server may say of a function that it does not know; no page tells.
_UNKNOWN_FUNCTION = (400, 404, 405, 422, 500, 501)


class Client:
    """Makes calls; safe to share between threads.

    ``timeout`` is the default of its calls, ``retries`` how often a request is sent again at most, ``backoff`` the
    first wait between two sendings in seconds, doubled each time.
    """

    def __init__(
        self, session: Session, token: Token, endpoint_url: str, timeout: Timeout, retries: int, backoff: float = 0.5
    ) -> None:
        self.session = session
        self.token = token
        self.endpoint_url = endpoint_url
        self.timeout = timeout
        self.retries = retries
        self.backoff = backoff
        self._closed = threading.Event()

    @property
    def endpoint_url(self) -> str:
        return self._endpoint_url

    @endpoint_url.setter
    def endpoint_url(self, url: str) -> None:
        self._endpoint = endpoint(checked(url, "endpoint_url"))
        self._endpoint_url = url

    def call(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], timeout: Timeout) -> Any:
        """The function's result: what JSON can say, None, or a ResponseFile. Raises the errors that errors.py lists."""
        self.check_open()
        timeout = checked_timeout(timeout)
        try:
            with Encoded(name, args, kwargs) as encoded:
                return _Call(self, name, encoded, timeout).answer()
        except APIError as error:
            hint = catalogue.hint(name, kwargs) if error.http_code in _UNKNOWN_FUNCTION else None
            if hint:
                error.add_hint(hint)
            raise

    def pause(self, seconds: float) -> None:
        """Waits, unless the client is closed meanwhile."""
        end = time.monotonic() + seconds
        while not self._closed.wait(max(0.0, min(0.5, end - time.monotonic()))) and time.monotonic() < end:
            pass  # in slices: on Windows, Ctrl-C does not end the wait for a lock
        self.check_open()

    def check_open(self) -> None:
        if self._closed.is_set():
            raise TypeError("this service is closed: make a new one with sidefx_client.service()")

    def close(self) -> None:
        """Closes idle connections and ends waits; calls that other threads have under way run to their end."""
        self._closed.set()
        self.session.close()

    def __repr__(self) -> str:
        return f"<Client of {self.endpoint_url}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Client holds connections and a token: make one in each process, it cannot be pickled")


def open_client(
    pair: Sealed,
    access_token_url: str,
    endpoint_url: str,
    bearer: Bearer | None,
    timeout: Timeout,
    token_cache: str | os.PathLike[str] | None = None,
    session: requests.Session | None = None,
    retries: int = 3,
    ca_bundle: str | os.PathLike[str] | None = None,
) -> Client:
    """A client with its session and its token, from what ``service()`` was given; nothing is sent yet.

    ``pair`` is the given client id and secret, sealed. Raises ConfigError.
    """
    checked(access_token_url, "access_token_url")
    checked(endpoint_url, "endpoint_url")
    checked_timeout(timeout)
    if not isinstance(retries, int) or isinstance(retries, bool) or retries < 0:
        raise ConfigError(f"retries must be a number, 0 or more, not {retries!r}")

    def credentials() -> Credentials:
        return find(pair, token_url=access_token_url)

    def fetch(credentials: Credentials, timeout: Timeout) -> Bearer:
        client.check_open()  # waiting for another thread's fetch may have taken a while
        return fetch_token(
            client.session,
            access_token_url,
            credentials,
            timeout,
            retries=client.retries,
            backoff=client.backoff,
            pause=client.pause,
        )

    cache = TokenCache(token_cache, access_token_url) if token_cache is not None else None
    token = Token(credentials, fetch, bearer, cache)
    client = Client(Session(session, ca_bundle=ca_bundle), token, endpoint_url, timeout, retries)
    return client


class _Call:
    """One call on its way, until it has a result."""

    def __init__(self, client: Client, name: str, encoded: Encoded, timeout: Timeout) -> None:
        self._client = client
        self._name = name
        self._encoded = encoded
        self._timeout = timeout
        self._bearer: Bearer = client.token.current(timeout)

    def answer(self) -> Any:
        """What it comes to, however often it has to be sent."""
        return with_retries(
            self._send,
            what=self._name,
            read_only=catalogue.read_only(self._name),
            retries=self._client.retries,
            backoff=self._client.backoff,
            prepare=self._prepare,
            pause=self._pause,
        )

    def _send(self, attempt: int) -> Any:
        client, encoded = self._client, self._encoded
        client.check_open()  # waiting for the token may have taken a while
        request = post(client._endpoint, encoded.body, encoded.length, encoded.content_type, self._bearer)
        try:
            return decode(client.session.send(request, self._timeout, f"{self._name} (attempt {attempt})"))
        except SourceError as error:
            failure = error.error
        except APIError as error:
            if error.http_code == 401:
                client.token.refuse(self._bearer)
            raise
        raise failure  # what a caller's file or progress function raised, as it was

    def _prepare(self, failure: SideFXError) -> bool:
        """Makes ready to send the call once more: the upload back at its start, and after a 401 with another token."""
        if not self._encoded.rewind():
            failure.add_hint("the upload cannot be read a second time, so it was not sent again")
            return False
        if isinstance(failure, APIError) and failure.http_code == 401:
            refused = self._bearer
            self._take_token()
            return self._bearer is not refused
        return True

    def _pause(self, seconds: float) -> None:
        self._client.pause(seconds)
        self._take_token()  # the wait may have outlasted the old one

    def _take_token(self) -> None:
        with contextlib.suppress(ConfigError):  # nobody to ask for another: the server has the last word on this one
            self._bearer = self._client.token.current(self._timeout)
