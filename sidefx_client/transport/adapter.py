"""The adapter that requests sends through: one pool of observed connections, one TLS context, safe to fork."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import ssl
import time
import weakref
from typing import Any
from urllib.parse import urlsplit

import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH, prepend_scheme_if_needed, select_proxy
from urllib3.connectionpool import HTTPConnectionPool

from ..errors import ConfigError
from ..urls import why_unusable_proxy
from .connection import Attempt, ObservedConnection, observed, run_after_fork

_POOL_SIZE = 64  # idle connections kept for a host: urllib3 warns of a full pool if there are more threads


class Adapter(HTTPAdapter):
    """A ``requests`` adapter with one TLS context for all connections, at least TLS 1.2, and an idle limit.

    ``verify`` is True, the path of a CA bundle (a PEM file or a folder) or False, ``cert`` a client certificate, both
    as requests takes them. They apply to every request of this adapter and override the session. A connection that
    was idle for more than ``idle_limit`` seconds is not reused. Raises ConfigError if a file cannot be read.
    """

    def __init__(
        self, verify: bool | str | os.PathLike[str] = True, cert: Any = None, idle_limit: float = 30.0
    ) -> None:
        self._verify = verify
        self._cert = cert
        self._idle_limit = idle_limit
        self._context: ssl.SSLContext | None = None
        # Kept alive after fork, because closing could deadlock on a lock held by a parent thread.
        self._inherited_from_parent: list[Any] = []
        super().__init__(pool_maxsize=_POOL_SIZE)
        run_after_fork(self)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        self._pools: weakref.WeakSet[HTTPConnectionPool] = weakref.WeakSet()
        self._direct: dict[tuple[str, ...], HTTPConnectionPool] = {}
        super().init_poolmanager(*args, **kwargs)
        self._observe(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        if proxy in self.proxy_manager:
            return self.proxy_manager[proxy]
        if reason := why_unusable_proxy(proxy):
            raise ConfigError(reason)
        if proxy.lower().startswith("https:"):
            kwargs["proxy_ssl_context"] = self._tls()
        manager = super().proxy_manager_for(proxy, **kwargs)
        self._observe(manager)
        return manager

    def get_connection_with_tls_context(self, request: Any, verify: Any, proxies: Any = None, cert: Any = None) -> Any:
        return self.get_connection(request.url, proxies)

    def get_connection(self, url: Any, proxies: Any = None) -> Any:  # called by requests before 2.32
        proxy = proxies and select_proxy(url, proxies)
        if proxy:
            return self.proxy_manager_for(prepend_scheme_if_needed(proxy, "http")).connection_from_url(url)
        # Requests would parse the URL five times to find the same pool, which takes a sixth of the CPU of a call.
        host = urlsplit(url)[:2]
        pool = self._direct.get(host)
        if pool is None or pool.pool is None:  # new, or closed: the manager keeps a limited number of pools
            pool = self._direct[host] = self.poolmanager.connection_from_url(url)
        return pool

    def request_url(self, request: Any, proxies: Any) -> str:
        return super().request_url(request, proxies) if proxies else request.path_url

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        pass  # The shared context has them. urllib3 would load the CA bundle (16 ms) again for each connection.

    def close(self) -> None:
        # urllib3 2 closes connections only when they are garbage-collected, which a kept traceback delays.
        for pool in list(self._pools):
            pool.close()
        super().close()

    def build_response(self, req: Any, resp: Any) -> Any:
        media = resp.headers.get("Content-Type", "")
        if re.search(r";\s*charset\s*(;|$)", media, re.IGNORECASE):  # requests 2.28 raises AttributeError for it
            resp.headers["Content-Type"] = media.partition(";")[0]
        return super().build_response(req, resp)

    def after_fork_in_child(self) -> None:
        self._inherited_from_parent += [self.poolmanager, self.proxy_manager, list(self._pools)]
        self.proxy_manager = {}
        self.init_poolmanager(self._pool_connections, self._pool_maxsize)

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:  # made on first use, because http to loopback does not need it
            self._context = tls_context(self._verify, self._cert)
        return self._context

    def _observe(self, manager: Any) -> None:
        """Let the pools of ``manager``, also those for SOCKS, make observed connections with our TLS context."""
        manager.pool_classes_by_scheme = {
            scheme: functools.partial(self._new_pool, scheme, observed_pool(pool_class))
            for scheme, pool_class in manager.pool_classes_by_scheme.items()
        }

    def _new_pool(self, scheme: str, pool_class: Any, host: str, port: int, **options: Any) -> HTTPConnectionPool:
        if scheme == "https":
            options["ssl_context"] = self._tls()
        pool: HTTPConnectionPool = pool_class(host, port, **options)
        pool.idle_limit = self._idle_limit  # type: ignore[attr-defined]
        self._pools.add(pool)
        return pool


class ObservedPool:
    """A mixin for a pool class of urllib3. Connections that were idle too long or have surplus bytes are not reused."""

    idle_limit: float
    pool_class: Any  # the class of urllib3

    @property
    def ConnectionCls(self) -> type:
        return observed(self.pool_class.ConnectionCls)  # looked up each time: a test tool may replace it meanwhile

    def _get_conn(self, timeout: float | None = None) -> Any:
        while True:
            # An aborted download may have closed the socket of a connection that was already back in the pool.
            with contextlib.suppress(ValueError):
                connection: Any = super()._get_conn(timeout)  # type: ignore[misc]
                break
        if isinstance(connection, ObservedConnection):
            Attempt.current().request_started = False
            idle = time.monotonic() - connection.idle_since
            if connection.sock is not None and (idle > self.idle_limit or connection.has_surplus()):
                connection.close()
        return connection

    def _put_conn(self, conn: Any) -> None:
        if isinstance(conn, ObservedConnection):
            if conn.has_surplus():
                conn.close()
            conn.idle_since = time.monotonic()
        super()._put_conn(conn)  # type: ignore[misc]


@functools.cache
def observed_pool(pool_class: Any) -> Any:
    """Return ``pool_class`` with ObservedPool added."""
    return type(pool_class.__name__, (ObservedPool, pool_class), {"pool_class": pool_class})


def tls_context(verify: bool | str | os.PathLike[str], cert: Any = None) -> ssl.SSLContext:
    """Return a context for TLS 1.2 and newer; ``verify`` and ``cert`` as in Adapter.

    Raises ConfigError if a file cannot be read.
    """
    bundle = DEFAULT_CA_BUNDLE_PATH if isinstance(verify, bool) else os.fspath(verify)
    reason = ""
    try:
        is_folder = os.path.isdir(bundle)
        context = ssl.create_default_context(cafile=None if is_folder else bundle, capath=bundle if is_folder else None)
        if cert:
            context.load_cert_chain(*((cert,) if isinstance(cert, str) else cert))
    except OSError as error:  # also ssl.SSLError: a file that is not PEM
        reason = error.strerror or str(error)
    if reason:
        files = " or ".join(str(file) for file in (bundle, cert) if file)
        raise ConfigError(f"cannot read the CA bundle or client certificate {files}: {reason}")
    # urllib3 1.26 compares the host name itself, because it does not pass IP addresses to OpenSSL.
    context.check_hostname = verify is not False and not urllib3.__version__.startswith("1.")  # type: ignore[attr-defined]
    if verify is False:
        context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Python 3.9 sets SSL_OP_IGNORE_UNEXPECTED_EOF, with which a truncated body looks complete.
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0x80)
    return context
