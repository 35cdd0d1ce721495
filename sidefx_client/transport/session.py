"""One service's HTTP: requests are built and sent here, always through ``Session.send`` of requests.

So mocks, tracing, response hooks and session subclasses of the caller see every request. This package sends no
cookies, follows no redirects and lets requests read no netrc file.
"""

from __future__ import annotations

import functools
import math
import os
import sys
import threading
import time
from collections.abc import Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Union
from urllib.parse import urlsplit

import requests
from requests.utils import default_user_agent, select_proxy

from ..errors import ConfigError, logger
from ..secret import Secret
from ..urls import is_loopback, why_unusable_proxy
from ..version import __version__
from .adapter import Adapter, AnyPath
from .connection import Attempt, OnSocket, in_flight
from .failures import NETWORK_ERRORS, is_of_hook, transport_error
from .multipart import MultipartBody

# (seconds to connect, seconds between bytes), or one number for both; None waits for ever.
Timeout = Union[float, tuple[Union[float, None], Union[float, None]], None]

DEFAULT_TIMEOUT = (10.0, 300.0)
_FORM = "application/x-www-form-urlencoded"
USER_AGENT = f"sidefx-client/{__version__} {default_user_agent()} Python/{sys.version.split()[0]}"


class Session:
    """A sender of prepared requests for any thread, until it is closed. It also waits between retries.

    ``session`` is the caller's, if given. Its adapters, proxies, ``verify``, ``cert`` and hooks are used. Its cookies
    and headers are not sent, and it is not closed. ``ca_bundle`` is the path of a PEM file that replaces the public
    roots. Without it ``REQUESTS_CA_BUNDLE`` and ``CURL_CA_BUNDLE`` are used, as in requests. With ``waits=False``,
    ``wait()`` returns at once, for tests. Raises ConfigError.
    """

    def __init__(
        self, session: requests.Session | None = None, *, ca_bundle: AnyPath | None = None, waits: bool = True
    ) -> None:
        if session is not None and ca_bundle is not None:
            raise ConfigError("give a session (its verify names the CA bundle) or a ca_bundle, not both")
        if ca_bundle is not None and not (isinstance(ca_bundle, (str, os.PathLike)) and os.path.exists(ca_bundle)):
            raise ConfigError(f"ca_bundle must be the path of an existing PEM file, not {ca_bundle!r}")
        # requests_cache replaces the class requests.Session.
        if session is not None and not hasattr(session, "merge_environment_settings"):
            raise ConfigError(f"session must be a requests.Session, not {type(session).__name__}")
        self._owned = session is None
        self._waits = waits
        self._closed = threading.Event()
        self._requests = requests.Session() if session is None else session
        self._settings_for = functools.cache(functools.partial(_settings_for, self._requests))
        if self._owned:
            self._requests.verify = True if ca_bundle is None else os.fspath(ca_bundle)
            self._requests.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
            adapter = Adapter(self._settings_for("https://")[0]["verify"])
            self._requests.mount("https://", adapter)
            self._requests.mount("http://", adapter)

    def send(
        self, request: requests.PreparedRequest, timeout: Timeout, label: str, on_socket: OnSocket | None = None
    ) -> requests.Response:
        """Return the response with its body unread. ``label`` names the request in the log.

        ``on_socket`` is called with the socket when the sending starts. Raises TransportError or CallTimeout.
        """
        self.require_open()
        attempt = Attempt(timeout[1] if isinstance(timeout, tuple) else timeout, on_socket)
        started = time.monotonic()
        outcome: object = "cancelled"
        options, proxy = self._settings_for("/".join(str(request.url).split("/", 3)[:3]))
        outer = in_flight.set(attempt)  # a progress function may make a call of its own
        try:
            response = self._send(request, timeout, options)
            outcome = response.status_code
            return response
        except (*NETWORK_ERRORS, ValueError, TypeError, AttributeError) as error:
            # Requests cannot parse some proxy URLs; the text of its error may show their password.
            problem = proxy and why_unusable_proxy(proxy)
            if not problem and is_of_hook(error):
                raise
            failure = transport_error(error, str(request.url), attempt.request_started, proxy)
            outcome = failure = ConfigError(problem) if problem else failure
        finally:
            in_flight.reset(outer)
            milliseconds = (time.monotonic() - started) * 1000
            length = request.headers.get("Content-Length", 0)
            logger.debug("%s: %s after %.0f ms, %s bytes of body", label, outcome, milliseconds, length)
        raise failure  # not in the handler, because the exceptions of requests hold the request with its token

    def _send(self, request: requests.PreparedRequest, timeout: Timeout, options: dict[str, Any]) -> requests.Response:
        withheld = []

        def withhold_location(response: requests.Response, **kwargs: Any) -> None:
            # For a redirect, requests would read the whole body, parse Location and look at netrc. This hook
            # runs last, so that the caller's hooks see the header.
            withheld.append(response.headers.pop("Location", None))

        hooks = self._requests.hooks.get("response") or []  # a list, or one function
        request.hooks = {"response": [*([hooks] if callable(hooks) else hooks), withhold_location]}
        try:
            response = self._requests.send(request, allow_redirects=False, timeout=timeout, **options)
        except requests.HTTPError as error:  # raised by a hook or an override of send, with raise_for_status()
            if error.response is None:
                raise
            response = error.response
        if withheld and withheld[-1] is not None:
            response.headers["Location"] = withheld[-1]
        return response

    def wait(self, seconds: float) -> None:
        """Wait between two attempts. Raises TypeError if the session is closed meanwhile."""
        # freezegun stops the clock, so count slices of the wait. Windows ignores Ctrl-C during one, so they are short.
        slices = math.ceil(seconds / 0.5) if self._waits else 0
        for _ in range(slices):
            self._closed.wait(seconds / slices)
        self.require_open()

    def require_open(self) -> None:
        """Raise TypeError if the session is closed."""
        if self._closed.is_set():
            raise TypeError("this service is closed: make a new one with sidefx_client.service()")

    def close(self) -> None:
        """Close idle connections and end waits. Calls of other threads complete; a caller's session stays open."""
        self._closed.set()
        if self._owned:
            self._requests.close()


def _settings_for(session: requests.Session, host: str) -> tuple[dict[str, Any], str | None]:
    """Return the request options and the proxy for ``https://host``. Cached by the caller, because it takes 0.1 ms."""
    verify = None if session.verify is True else session.verify  # REQUESTS_CA_BUNDLE must not override a path
    options = session.merge_environment_settings(host, {}, True, verify, session.cert)
    proxy = select_proxy(host, options["proxies"])
    if not proxy or is_loopback(urlsplit(host).hostname):
        return {**options, "proxies": {}}, None
    return options, proxy if "://" in proxy else f"http://{proxy.lstrip('/')}"


def endpoint(url: str) -> requests.PreparedRequest:
    """Return a template for POST requests to ``url``, so that the URL is parsed only once."""
    headers = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "gzip"}
    return requests.Request("POST", url, headers).prepare()


def build_post(endpoint: requests.PreparedRequest, body: str | MultipartBody, auth: Any) -> requests.PreparedRequest:
    """Return a request to ``endpoint``. ``auth``, a callable, is applied last: its header cannot be replaced."""
    request = endpoint.copy()
    request.body = body
    request.headers["Content-Length"] = str(len(body))
    request.headers["Content-Type"] = _FORM if isinstance(body, str) else body.content_type
    auth(request)
    return request


def build_get(url: Secret, headers: Mapping[str, str]) -> requests.PreparedRequest:
    """Return a GET for the bytes without a Content-Encoding. It carries no token."""
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers}
    return requests.Request("GET", url.reveal(), headers).prepare()


def require_timeout(timeout: Any) -> Timeout:
    """Return ``timeout`` as requests takes it, or raise ConfigError."""
    pair = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    if len(pair) == 2 and all(seconds is None or _is_duration(seconds) for seconds in pair):
        return pair
    raise ConfigError(f"timeout must be seconds, (seconds to connect, seconds between bytes) or None, not {timeout!r}")


def _is_duration(seconds: Any) -> bool:
    return isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and 0 < seconds <= threading.TIMEOUT_MAX
