"""The sockets of the local server: cheroot speaks HTTP/1.1 over them, one daemon thread for each connection.

cheroot's own pool of workers is not used: it would hold up a handshake behind another connection's, run no more than a
fixed number of functions at once, and take up to half a second to stop.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import sys
import threading
import time
import warnings
from typing import TYPE_CHECKING

from cheroot import wsgi

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

logger = logging.getLogger("sidefx_client.testing")

# For how long close() waits for functions that still run, in seconds.
GRACE = 2.0


class HTTPServer(wsgi.Server):
    """An HTTP/1.1 server on a free port of 127.0.0.1, over TLS where there is a ``context``; it runs until ``close()``.

    ``errors`` collects what went wrong within it.
    """

    def __init__(self, application: WSGIApplication, context: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), application)
        self.connections = 0
        self.handshakes = 0
        self.errors: list[BaseException] = []
        self.software = self.version
        # close() wakes whoever waits, so that a connection may idle for ever.
        self.timeout = None
        self._context = context
        self._closing = False
        self._lock = threading.Lock()
        self._conversations: dict[threading.Thread, socket.socket] = {}
        self.bind(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.listen(128)
        self.port: int = self.socket.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, name=f"local server :{self.port}", daemon=True)
        self._acceptor.start()

    def clear_stats(self) -> None:
        """Keeps no statistics: cheroot's are entered in a global table, which would hold each server for ever."""
        self.stats = {"Enabled": False}

    @property
    def can_add_keepalive_connection(self) -> bool:
        """Every connection may be kept alive."""
        return True

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        """Logs what cheroot would print on stderr; its clients' broken connections are no error of ours."""
        logger.debug("%s", msg)
        error = sys.exc_info()[1]
        if level >= logging.ERROR and error is not None:
            self.errors.append(error)

    def _accept(self) -> None:
        while True:
            connection, address = self.socket.accept()
            if self._closing:
                connection.close()
                return
            self.connections += 1
            if self._context is not None:
                try:
                    # The handshake itself is made in the connection's thread: a silent client blocks itself only.
                    connection = self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
                except OSError as error:
                    logger.debug("A client left before its handshake: %s", error)
                    connection.close()
                    continue
            thread = threading.Thread(target=self._converse, args=(connection, address), daemon=True)
            self._conversations[thread] = connection
            thread.start()

    def _converse(self, connection: socket.socket, address: tuple[str, int]) -> None:
        try:
            with connection:
                if isinstance(connection, ssl.SSLSocket):
                    connection.do_handshake()
                    with self._lock:
                        self.handshakes += 1
                self._serve_requests(connection, address)
        except OSError as error:
            logger.debug("A connection broke: %s", error)
        finally:
            del self._conversations[threading.current_thread()]

    def _serve_requests(self, connection: socket.socket, address: tuple[str, int]) -> None:
        http = self.ConnectionClass(self, connection)
        http.remote_addr, http.remote_port = address
        http.ssl_env = {"wsgi.url_scheme": "https" if self._context else "http"}
        try:
            while http.communicate():
                pass
        finally:
            # What a client that went away left in the buffer would be sent again when the buffer is collected.
            with contextlib.suppress(OSError):
                http.wfile.close()
            http.close()

    def close(self) -> None:
        """Stops: cuts the connections that are open, and waits for their threads, for ``GRACE`` seconds at most."""
        self._closing = True
        # A socket that another thread accepts on is woken on every system by a connection, on few by being closed.
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            pass
        self._acceptor.join()
        self.socket.close()
        deadline = time.monotonic() + GRACE
        conversations = list(self._conversations.items())
        for _, connection in conversations:
            with contextlib.suppress(OSError):
                # SSLSocket.shutdown() takes the TLS state away from under the thread that reads.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
        for thread, _ in conversations:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                warnings.warn(
                    f"a registered function still runs {GRACE:g} s after the local server was closed; "
                    "for a slow answer use server.delay(), which close() ends",
                    ResourceWarning,
                    stacklevel=2,
                )
