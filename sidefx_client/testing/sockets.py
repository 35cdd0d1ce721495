"""The sockets of the local server: cheroot handles HTTP/1.1, with one daemon thread per connection.

cheroot's own worker pool is not used. It blocks a handshake behind another connection's, and limits the number of
functions that run at once. It also takes up to half a second to stop.
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

# Time that close() waits for running functions, in seconds.
GRACE = 2.0


class HTTPServer(wsgi.Server):
    """An HTTP/1.1 server on 127.0.0.1, over TLS if ``context`` is given. Runs until ``close()``. Port 0 is any one.

    ``errors`` collects exceptions in the server itself.
    """

    def __init__(self, application: WSGIApplication, context: ssl.SSLContext | None, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), application)
        self.connections = 0
        self.handshakes = 0
        self.errors: list[BaseException] = []
        self.software = self.version
        # Connections can idle for ever, because close() wakes their threads.
        self.timeout = None
        self._context = context
        self._closing = False
        self._lock = threading.Lock()
        self._connections: dict[threading.Thread, socket.socket] = {}
        # cheroot's own bind() would leave the socket open if the port is taken.
        self.socket = socket.create_server(("127.0.0.1", port), backlog=128)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.bind_addr = self.socket.getsockname()
        self.port: int = self.bind_addr[1]
        self._acceptor = threading.Thread(target=self._accept, name=f"local server :{self.port}", daemon=True)
        self._acceptor.start()

    def clear_stats(self) -> None:
        """Disable statistics, because cheroot keeps them in a global table that holds each server for ever."""
        self.stats = {"Enabled": False}

    @property
    def can_add_keepalive_connection(self) -> bool:
        """True: every connection can be kept alive."""
        return True

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        """Log the messages that cheroot would print on stderr. Broken connections of clients are not errors."""
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
                    # The connection's thread does the handshake, so a silent client blocks only itself.
                    connection = self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
                except OSError as error:
                    logger.debug("A client disconnected before its handshake: %s", error)
                    connection.close()
                    continue
            thread = threading.Thread(target=self._serve, args=(connection, address), daemon=True)
            self._connections[thread] = connection
            thread.start()

    def _serve(self, connection: socket.socket, address: tuple[str, int]) -> None:
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
            del self._connections[threading.current_thread()]

    def _serve_requests(self, connection: socket.socket, address: tuple[str, int]) -> None:
        http = self.ConnectionClass(self, connection)
        http.remote_addr, http.remote_port = address
        http.ssl_env = {"wsgi.url_scheme": "https" if self._context else "http"}
        try:
            while http.communicate():
                pass
        finally:
            # Unsent data in the buffer would be sent again when the buffer is garbage-collected.
            with contextlib.suppress(OSError):
                http.wfile.close()
            http.close()

    def close(self) -> None:
        """Close the open connections, and wait at most ``GRACE`` seconds for their threads."""
        self._closing = True
        # A connection wakes accept() in the other thread on every system. Closing the socket does so on few.
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            pass
        self._acceptor.join()
        self.socket.close()
        deadline = time.monotonic() + GRACE
        connections = list(self._connections.items())
        for _, connection in connections:
            with contextlib.suppress(OSError):
                # SSLSocket.shutdown() would remove the TLS state while another thread reads.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
                if sys.platform == "win32":  # only closing the handle wakes a blocked recv() there
                    socket.close(connection.detach())
        for thread, _ in connections:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                warnings.warn(
                    f"a registered function still runs {GRACE:g} s after the local server was closed; "
                    "for a slow response use server.delay(), which close() ends",
                    ResourceWarning,
                    stacklevel=2,
                )
