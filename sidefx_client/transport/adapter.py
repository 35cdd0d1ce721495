"""The adapter between requests and our connections: one pool, one TLS context, no retries, safe to fork."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.connectionpool import HTTPConnectionPool

from .. import forks
from ..errors import ConfigError
from .connection import Pool, TLSPool, attempt

_POOL_SIZE = 64  # idle connections kept for a host: with fewer than threads, urllib3 warns of a full pool


class Adapter(HTTPAdapter):
    """A ``requests`` adapter on our connections: one TLS context for all of them, TLS 1.2 at least, an idle limit.

    ``verify`` is True, the path of a CA bundle (a PEM file or a folder) or False, ``cert`` a client certificate, both
    as requests takes them; they hold for every request of this adapter, whatever its session says. ``idle_limit``: the
    seconds after which an unused connection is not used again. Raises ConfigError where a file cannot be read.
    """

    __attrs__ = [*HTTPAdapter.__attrs__, "_verify", "_cert", "_idle_limit"]  # what requests copies and pickles

    def __init__(
        self, verify: bool | str | os.PathLike[str] = True, cert: Any = None, idle_limit: float = 30.0
    ) -> None:
        self._verify = verify
        self._cert = cert
        self._context: ssl.SSLContext | None = None
        self._idle_limit = idle_limit
        # Never closed in the child of a fork: its finalizers could wait for a lock that a thread of the parent held.
        self._of_the_parent: list[Any] = []
        super().__init__(pool_maxsize=_POOL_SIZE)
        forks.watch(self)

    def __setstate__(self, state: Any) -> None:
        self._context = None
        self._of_the_parent = []
        super().__setstate__(state)
        forks.watch(self)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        self._direct: dict[tuple[str, ...], HTTPConnectionPool] = {}
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools()

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        if proxy.lower().startswith("https:"):
            kwargs["proxy_ssl_context"] = self._tls()
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = self._pools()
        return manager

    # Without a proxy requests would parse the URL five times at every call, a sixth of its CPU, to find the same pool.

    def get_connection_with_tls_context(
        self, request: Any, verify: Any, proxies: Any = None, cert: Any = None
    ) -> HTTPConnectionPool:
        find = super().get_connection_with_tls_context
        return self._pool(request.url, proxies, lambda: find(request, verify, proxies, cert))

    def get_connection(self, url: Any, proxies: Any = None) -> HTTPConnectionPool:
        find = super().get_connection  # what requests before 2.32 calls
        return self._pool(url, proxies, lambda: find(url, proxies))

    def request_url(self, request: Any, proxies: Any) -> str:
        return super().request_url(request, proxies) if proxies else request.path_url

    def _pool(self, url: str, proxies: Any, find: Callable[[], HTTPConnectionPool]) -> HTTPConnectionPool:
        if proxies:
            return find()
        host = urlsplit(url)[:2]
        pool = self._direct.get(host)
        if pool is None or pool.pool is None:  # never asked for, or closed: the manager keeps only so many
            pool = self._direct[host] = find()
        return pool

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        pass  # the context knows: urllib3 would load the CA bundle (16 ms) again for each connection

    def send(self, request: Any, stream: bool = False, timeout: Any = None, *args: Any, **kwargs: Any) -> Any:
        attempt.sent = False
        attempt.read_timeout = timeout[1] if isinstance(timeout, tuple) else timeout
        return super().send(request, stream, timeout, *args, **kwargs)

    def close(self) -> None:
        # urllib3 2 leaves it to the garbage collector, for whom a kept traceback is reason enough to wait.
        for pool in list(self._direct.values()):  # also those that their manager, which keeps only so many, has dropped
            pool.close()
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118 (urllib3's container refuses to be iterated)
                pool = manager.pools.get(key)
                if pool is not None:
                    pool.close()
        super().close()

    def build_response(self, req: Any, resp: Any) -> Any:
        media = resp.headers.get("Content-Type", "")
        if re.search(r";\s*charset\s*(;|$)", media, re.IGNORECASE):  # at which requests 2.28 raises AttributeError
            resp.headers["Content-Type"] = media.partition(";")[0]
        return super().build_response(req, resp)

    def after_fork_in_child(self) -> None:
        self._of_the_parent += [self.poolmanager, self.proxy_manager]
        self.proxy_manager = {}
        self.init_poolmanager(self._pool_connections, self._pool_maxsize)

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:  # made on first use: http to this machine needs none
            self._context = tls_context(self._verify, self._cert)
        return self._context

    def _pools(self) -> dict[str, Any]:
        def plain(host: str, port: int, **options: Any) -> Pool:
            return Pool(host, port, idle_limit=self._idle_limit, **options)

        def tls(host: str, port: int, **options: Any) -> TLSPool:
            for name in ("cert_reqs", "ca_certs", "ca_cert_dir", "cert_file", "key_file", "ssl_context"):
                options.pop(name, None)
            return TLSPool(host, port, idle_limit=self._idle_limit, ssl_context=self._tls(), **options)

        return {"http": plain, "https": tls}


def tls_context(verify: bool | str | os.PathLike[str], cert: Any = None) -> ssl.SSLContext:
    """TLS 1.2 at least; ``verify`` and ``cert`` as in Adapter. Raises ConfigError where a file cannot be read."""
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
    # urllib3 1.26 compares the host's name itself: it gives OpenSSL none where the host is an address.
    context.check_hostname = verify is not False and not urllib3.__version__.startswith("1.")  # type: ignore[attr-defined]
    if verify is False:
        context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
