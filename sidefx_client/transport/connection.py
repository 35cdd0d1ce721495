"""urllib3's connections and pools, made to tell what became of a request.

Three things that urllib3 leaves open are settled here: whether a byte of a request went out before it
failed, whether an answer that came before the whole request was sent is still read, and for how long an
idle connection is good.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from .head import StrictResponse

# One TLS write a block: 256 KiB measured best, 1 MiB gains nothing, and urllib3's 16 KiB doubles the CPU of an upload.
BLOCK = 256 * 1024


class _Attempt(threading.local):
    """The request that this thread is sending: urllib3 has no other way between its connection and our adapter.

    ``sent`` is None where a foreign adapter sends and nothing is known, else whether a byte of the request went out.
    ``opened`` is told the socket that it goes out on.
    """

    sent: bool | None = None
    read_timeout: float | None = None
    opened: Callable[[socket.socket], object] | None = None


attempt = _Attempt()


class _Connection(HTTPConnection):
    response_class = StrictResponse

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "blocksize": BLOCK})
        self._connecting = False
        self.idle_since = 0.0  # by time.monotonic()

    def connect(self) -> None:
        self._connecting = True
        try:
            super().connect()
        finally:
            self._connecting = False

    def send(self, data: Any) -> None:
        if self._connecting:  # the CONNECT to a proxy: not yet the request
            super().send(data)
            return
        if self.sock is None:
            self.connect()
        if not attempt.sent:
            # urllib3 would hold the sending to the time that is meant for connecting.
            self.sock.settimeout(attempt.read_timeout)
            attempt.sent = True
            if attempt.opened is not None:
                attempt.opened(self.sock)
        try:
            super().send(data)
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionResetError) as error:
            # After a broken pipe, and nothing else, urllib3 goes on to read the answer: a 401 or 413, say.
            raise BrokenPipeError(str(error)) from error


_CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def clear_openssl_errors() -> None:
    """Empty this thread's queue of OpenSSL errors.

    With OpenSSL 3.4 and newer CPython leaves the errors of a broken TLS connection in the queue. Then each read that
    has to wait raises them again, on every connection of the thread. Refusing a cipher list empties the queue.
    """
    with contextlib.suppress(ssl.SSLError):
        _CONTEXT.set_ciphers("")


class _TLSConnection(_Connection, HTTPSConnection):
    def send(self, data: Any) -> None:
        if not attempt.sent:
            clear_openssl_errors()  # those of another library, say
        super().send(data)

    def close(self) -> None:
        super().close()
        clear_openssl_errors()


class Pool(HTTPConnectionPool):
    """A pool that hands out no connection which was idle for more than ``idle_limit`` seconds."""

    ConnectionCls = _Connection

    def __init__(self, *args: Any, idle_limit: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._idle_limit = idle_limit

    def _get_conn(self, timeout: float | None = None) -> Any:
        connection: Any = super()._get_conn(timeout)
        if connection.sock is not None and time.monotonic() - connection.idle_since > self._idle_limit:
            connection.close()
        return connection

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.idle_since = time.monotonic()
        super()._put_conn(conn)


class TLSPool(Pool, HTTPSConnectionPool):
    """The same over TLS."""

    ConnectionCls = _TLSConnection
