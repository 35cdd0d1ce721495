"""The adapter that requests sends through: one pool of observed connections, one TLS context, safe to fork."""

from __future__ import annotations

import functools
import os
import re
import ssl
import weakref
from typing import Any, Union
from urllib.parse import urlsplit

import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH, prepend_scheme_if_needed, select_proxy
from urllib3.connectionpool import HTTPConnectionPool

from ..errors import ConfigError
from .connection import ObservedConnection

AnyPath = Union[str, "os.PathLike[str]"]


class Adapter(HTTPAdapter):
    """A ``requests`` adapter with one TLS context for all connections, at least TLS 1.2.

    ``verify`` is True, False, or the path of a CA bundle (a PEM file or a folder). ``cert`` is a client certificate as
    in requests. They apply to every request of this adapter, whatever the session has. A connection that was idle for
    more than ``idle_limit`` seconds is not reused. Raises ConfigError if a file cannot be read.
    """

    def __init__(self, verify: bool | AnyPath = True, cert: Any = None, idle_limit: float = 30.0) -> None:
        self._idle_limit = idle_limit
        # Made on first use, because http to loopback does not need it.
        self._tls = functools.cache(functools.partial(tls_context, verify, cert))
        self._pools: dict[tuple[str | None, ...], HTTPConnectionPool] = {}  # by proxy, scheme and host
        # Kept alive after fork, because closing could deadlock on a lock held by a parent thread.
        self._inherited_from_parent: list[Any] = []
        # With smaller limits urllib3 closes pools in use if there are many hosts, and warns if there are many threads.
        super().__init__(pool_connections=1000, pool_maxsize=64)
        run_after_fork(self)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        if proxy.lower().startswith("https:"):
            kwargs["proxy_ssl_context"] = self._tls()
        return super().proxy_manager_for(proxy, **kwargs)

    def get_connection_with_tls_context(self, request: Any, verify: Any, proxies: Any = None, cert: Any = None) -> Any:
        return self.get_connection(request.url, proxies)

    def get_connection(self, url: Any, proxies: Any = None) -> Any:  # called by requests before 2.32
        # Requests would parse the URL five times to find the same pool, which takes a sixth of the CPU of a call.
        scheme, host = urlsplit(url)[:2]
        url = f"{scheme}://{host}"  # the query of a signed URL is secret, so no frame that raises may show it
        proxy = select_proxy(url, proxies) if proxies else None
        pool = self._pools.get((proxy, scheme, host))
        if pool is None:
            manager = self.proxy_manager_for(prepend_scheme_if_needed(proxy, "http")) if proxy else self.poolmanager
            classes = manager.pool_classes_by_scheme  # a SOCKS proxy has its own
            manager.pool_classes_by_scheme = {name: mixed(ObservedPool, classes[name]) for name in classes}
            options = {"ssl_context": self._tls()} if scheme == "https" else {}
            # Two threads may make two contexts and two pools at the same time, so the first one is kept.
            pool = self._pools.setdefault((proxy, scheme, host), manager.connection_from_url(url, options))
            pool.idle_limit = self._idle_limit  # type: ignore[attr-defined]
        return pool

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        pass  # The shared context has both files. urllib3 would load the CA bundle (16 ms) again for each connection.

    def close(self) -> None:
        # urllib3 2 closes connections only when they are garbage-collected, which a kept traceback delays.
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            pool.close()
        super().close()

    def build_response(self, req: Any, resp: Any) -> Any:
        media = resp.headers.get("Content-Type", "")
        if re.search(r";\s*charset\s*(;|$)", media, re.IGNORECASE):  # requests raises AttributeError for it
            resp.headers["Content-Type"] = media.partition(";")[0]
        return super().build_response(req, resp)

    def after_fork_in_child(self) -> None:
        self._inherited_from_parent += [self.poolmanager, self.proxy_manager, self._pools]
        self.proxy_manager, self._pools = {}, {}
        self.init_poolmanager(self._pool_connections, self._pool_maxsize)


class ObservedPool:
    """A mixin for a pool class of urllib3. Connections that were idle too long or have surplus bytes are not reused."""

    idle_limit: float

    @property
    def ConnectionCls(self) -> Any:
        connection_class = super().ConnectionCls  # type: ignore[misc] # looked up each time: a test tool may replace it
        if not connection_class.__module__.startswith("urllib3."):  # such as vcrpy
            return connection_class
        return mixed(ObservedConnection, connection_class)

    def _put_conn(self, conn: Any) -> None:
        # urllib3 takes a closed connection before idle ones, so the next request would connect again.
        if getattr(conn, "sock", None) is not None:
            super()._put_conn(conn)  # type: ignore[misc]

    def _get_conn(self, timeout: float | None = None) -> Any:
        try:
            connection = super()._get_conn(timeout)  # type: ignore[misc]
        except ValueError:  # an aborted download closed the socket of a connection that was already back in the pool
            return self._get_conn(timeout)
        if isinstance(connection, ObservedConnection) and not connection.is_reusable(self.idle_limit):
            connection.close()
        return connection


@functools.cache
def mixed(mixin: type, base: type) -> type:
    """Return ``base`` with ``mixin`` added, if it lacks it."""
    return base if issubclass(base, mixin) else type(base.__name__, (mixin, base), {})


def tls_context(verify: bool | AnyPath, cert: Any = None) -> ssl.SSLContext:
    """Return a context for TLS 1.2 and newer; ``verify`` and ``cert`` as in Adapter.

    Raises ConfigError if a file cannot be read.
    """
    bundle = DEFAULT_CA_BUNDLE_PATH if isinstance(verify, bool) else os.fspath(verify)
    try:
        is_folder = os.path.isdir(bundle)
        context = ssl.create_default_context(cafile=None if is_folder else bundle, capath=bundle if is_folder else None)
        if cert:
            context.load_cert_chain(*((cert,) if isinstance(cert, str) else cert))
    except OSError as error:  # also ssl.SSLError: a file that is not PEM
        files = " or ".join(str(file) for file in (bundle, cert) if file)
        raise ConfigError(f"cannot read the CA bundle or certificate {files}: {error.strerror or error}") from error
    # urllib3 1.26 compares the host name itself, because it does not pass IP addresses to OpenSSL.
    context.check_hostname = verify is not False and not urllib3.__version__.startswith("1.")  # type: ignore[attr-defined]
    context.verify_mode = ssl.CERT_NONE if verify is False else ssl.CERT_REQUIRED
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Python 3.9 sets SSL_OP_IGNORE_UNEXPECTED_EOF, with which a truncated body looks complete.
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0x80)
    return context


_renewables: weakref.WeakSet[Any] = weakref.WeakSet()


def run_after_fork(renewable: Any) -> None:
    """Call ``renewable.after_fork_in_child()`` in every child forked from now on, as long as ``renewable`` lives.

    A forked child cannot share connections and locks with its parent.
    """
    _renewables.add(renewable)


def _after_fork_in_child() -> None:
    for renewable in list(_renewables):
        renewable.after_fork_in_child()


if hasattr(os, "register_at_fork"):  # Windows cannot fork
    os.register_at_fork(after_in_child=_after_fork_in_child)
