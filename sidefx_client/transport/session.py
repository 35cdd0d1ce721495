"""The HTTP session: connections, proxies and CA bundle of one service; no cookies, no redirects, no retries.

A request goes straight to an adapter, past ``requests.Session.request``, which would look into the environment,
``~/.netrc`` and a cookie jar at every call.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any, Union
from urllib.parse import urlsplit

import requests
from requests.utils import select_proxy

from ..errors import ConfigError, SideFXError
from ..log import logger
from ..urls import is_loopback
from .adapter import Adapter
from .connection import attempt
from .failures import FAILURES, transport_error

# (seconds to connect, seconds between bytes), or one number for both; None waits for ever.
Timeout = Union[float, tuple[Union[float, None], Union[float, None]], None]

DEFAULT_TIMEOUT = (10.0, 300.0)


class Session:
    """Sends prepared requests, from any thread. What the environment says of a URL is looked up once.

    ``base`` is a session of the caller's: its adapters, proxies, ``verify`` and ``cert`` hold, its cookies and headers
    are not sent, and it is left open. ``ca_bundle`` is the path of a PEM file that takes the place of the public roots;
    without it ``REQUESTS_CA_BUNDLE`` and ``CURL_CA_BUNDLE`` count, as for requests. Raises ConfigError.
    """

    def __init__(
        self, base: requests.Session | None = None, *, ca_bundle: str | os.PathLike[str] | None = None
    ) -> None:
        if base is not None and ca_bundle is not None:
            raise ConfigError("give a session (its verify names the CA bundle) or a ca_bundle, not both")
        if ca_bundle is not None and not (isinstance(ca_bundle, (str, os.PathLike)) and os.path.exists(ca_bundle)):
            raise ConfigError(f"ca_bundle must be the path of a PEM file that is there, not {ca_bundle!r}")
        self._owned = base is None
        self._requests = requests.Session() if base is None else _checked_session(base)
        self._routes: dict[str, _Route] = {}
        if self._owned:
            self._requests.verify = True if ca_bundle is None else os.fspath(ca_bundle)
            self._mount()

    @classmethod
    def like(cls, other: Session | requests.Session | None) -> Session:
        """A new session with the proxies, ``verify`` and ``cert`` of another and nothing else, for other hosts."""
        session = cls()
        if other is not None:
            base = other._requests if isinstance(other, Session) else _checked_session(other)
            for name in ("proxies", "verify", "cert", "trust_env"):
                setattr(session._requests, name, getattr(base, name))
            session._mount()
        return session

    def send(self, request: requests.PreparedRequest, timeout: Timeout, what: str) -> requests.Response:
        """The head of the answer, its body yet to be read; ``what`` names the request in the log.

        Raises TransportError or CallTimeout.
        """
        route: _Route | None = None
        attempt.sent = None
        started = time.monotonic()
        outcome: object = "cancelled"
        try:
            route = self._route(str(request.url).partition("?")[0])
            response = route.send(request, timeout)
            outcome = response.status_code
            return response
        except SideFXError:
            raise
        except FAILURES as error:
            failure = transport_error(error, str(request.url), attempt.sent, route.proxy if route else None)
            outcome = str(failure)
        finally:
            spent = (time.monotonic() - started) * 1000
            length = request.headers.get("Content-Length", 0)
            logger.debug("%s: %s after %.0f ms, %s bytes of body", what, outcome, spent, length)
        raise failure  # not in the handler: what requests raises holds the request, and so the token

    def close(self) -> None:
        """Closes the idle connections; a caller's session is left alone."""
        if self._owned:
            self._requests.close()

    def _mount(self) -> None:
        adapter = Adapter(_settings(self._requests, "https://")["verify"], self._requests.cert)
        self._requests.mount("https://", adapter)
        self._requests.mount("http://", adapter)

    def _route(self, url: str) -> _Route:
        route = self._routes.get(url)
        if route is None:
            route = self._routes[url] = _Route(self._requests, url)
        return route


class _Route:
    """How one URL is reached: adapter, proxy, CA bundle, client certificate."""

    def __init__(self, session: requests.Session, url: str) -> None:
        self._adapter = session.get_adapter(url)
        self._settings = _settings(session, url)
        for file in (self._settings["verify"], *_files(self._settings["cert"])):
            if url.startswith("https:") and isinstance(file, (str, os.PathLike)) and not os.path.exists(file):
                raise ConfigError(f"the CA bundle or client certificate {os.fspath(file)} is not there")
        proxy = select_proxy(url, self._settings["proxies"])
        self.proxy: str | None = None
        if not proxy or is_loopback(urlsplit(url).hostname):
            self._settings["proxies"] = {}  # said so once, the adapter need not look at every call
        else:
            self.proxy = proxy if "://" in proxy else f"http://{proxy.lstrip('/')}"

    def send(self, request: requests.PreparedRequest, timeout: Timeout) -> requests.Response:
        return self._adapter.send(request, timeout=timeout, **self._settings)


def _settings(session: requests.Session, url: str) -> dict[str, Any]:
    """What the environment and the session say of a URL, as an adapter takes it."""
    verify = None if session.verify is True else session.verify  # else REQUESTS_CA_BUNDLE would beat it
    return dict(session.merge_environment_settings(url, {}, True, verify, session.cert))


def _files(cert: Any) -> tuple[Any, ...]:
    return cert if isinstance(cert, tuple) else (cert,)


def _checked_session(session: Any) -> requests.Session:
    if not isinstance(session, requests.Session):
        raise ConfigError(f"session must be a requests.Session, not {type(session).__name__}")
    if session.verify is not None and not isinstance(session.verify, (bool, str, os.PathLike)):
        raise ConfigError(
            f"the session's verify must be True, False or the path of a CA bundle, not {session.verify!r}"
        )
    return session


def checked_timeout(timeout: Any) -> Timeout:
    """``timeout`` as an adapter takes it, or ConfigError."""
    pair = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    if len(pair) == 2 and all(seconds is None or _is_wait(seconds) for seconds in pair):
        return pair
    raise ConfigError(f"timeout must be seconds, (seconds to connect, seconds between bytes) or None, not {timeout!r}")


def _is_wait(seconds: Any) -> bool:
    is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    return is_number and 0 < seconds <= threading.TIMEOUT_MAX
