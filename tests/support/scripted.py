"""A server with a script that controls every byte, and when a connection closes, resets or stalls.

It listens on a real loopback socket, plain or TLS, parses requests itself and records them. A script is one step for
every request, or a list with exactly one step per request. A step is bytes, sent after the request was read, or a
function of the connection and the request. `http_response` and its siblings return bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Any, Callable, Union
from urllib.parse import parse_qs

from support.certificates import CA_BUNDLE, server_context

PATIENCE = 20.0  # seconds after which a silent client fails the test
KEPT = 1 << 20  # bytes of a request body that are kept; the rest is counted and hashed


class Request:
    """A received request: the first MiB of its ``body``, and ``length`` and MD5 ``digest`` of the whole body.

    ``announced`` is the Content-Length.
    """

    def __init__(self, head: bytes, connection: int) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        self.method, self.path, _ = first.split(" ")
        self.headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        self.connection = connection
        self.time = time.monotonic()
        self.body = b""
        self.length = 0
        self.hash = hashlib.md5(usedforsecurity=False)
        assert self.header("Transfer-Encoding") is None, "the client promises a Content-Length"
        self.announced = int(self.header("Content-Length") or 0)

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(found) < 2, f"{name} was sent {len(found)} times"
        return found[0] if found else None

    @property
    def digest(self) -> str:
        return self.hash.hexdigest()

    @property
    def call(self) -> Any:
        """Return ``[name, args, kwargs]`` of a call."""
        if str(self.header("Content-Type")).startswith("multipart/"):
            return json.loads(self.parts[0][1])
        return json.loads(parse_qs(self.body.decode("ascii"), strict_parsing=True)["json"][0])

    @property
    def parts(self) -> list[tuple[bytes, bytes]]:
        """Return the heads and bodies of a multipart body, parsed strictly by RFC 2046, section 5.1."""
        media, _, boundary = str(self.header("Content-Type")).partition("; boundary=")
        assert (media, len(self.body)) == ("multipart/form-data", self.length)
        first, *between, last = (b"\r\n" + self.body).split(b"\r\n--" + boundary.encode("ascii"))
        assert (first, last) == (b"", b"--\r\n")
        assert all(part.startswith(b"\r\n") for part in between)
        return [(head, body) for head, _, body in (part[2:].partition(b"\r\n\r\n") for part in between)]

    @property
    def wants_token(self) -> bool:
        return self.path.split("?")[0].rstrip("/").rpartition("/")[2] in ("application_token", "token")


class Connection:
    """An accepted connection that a step reads and writes. ``number`` counts from 1."""

    def __init__(self, sock: socket.socket, number: int, over: threading.Event) -> None:
        self.socket = sock
        self.number = number
        self.open = True
        self._over = over
        self._ahead = b""

    def read(self, size: int = 1 << 18) -> bytes:
        """Return at most ``size`` bytes, or b"" at the end."""
        data, self._ahead = self._ahead[:size], self._ahead[size:]
        return data or self.socket.recv(size)

    def read_head(self) -> Request | None:
        """Return the next request without its body, or None if the client closed the idle connection."""
        while b"\r\n\r\n" not in self._ahead:
            data = self.socket.recv(1 << 16)
            if not data:
                assert not self._ahead, f"the client closed inside a request head: {self._ahead[:80]!r}"
                return None
            self._ahead += data
        head, _, self._ahead = self._ahead.partition(b"\r\n\r\n")
        return Request(head, self.number)

    def read_body(self, request: Request, limit: int | None = None) -> None:
        """Read the body up to its Content-Length, or up to ``limit`` bytes in all."""
        end = request.announced if limit is None else min(limit, request.announced)
        while request.length < end:
            data = self.read(min(1 << 18, end - request.length))
            if not data:
                raise ConnectionError("the client closed inside a request body")
            request.hash.update(data)
            request.length += len(data)
            request.body += data[: max(0, KEPT - len(request.body))]

    def send(self, *pieces: bytes, pause: float = 0.0) -> None:
        for piece in pieces:
            self.socket.sendall(piece)
            time.sleep(pause)

    def garble(self, data: bytes) -> None:
        """Send raw bytes below TLS."""
        socket.socket.sendall(self.socket, data)

    def finish(self, *, notify: bool = True) -> None:
        """Send FIN, then read until the client closes, so that unread bytes do not cause an RST.

        ``notify``: over TLS, send close_notify before, as servers do that end a body by closing.
        """
        if notify and isinstance(self.socket, ssl.SSLSocket):
            self.socket.settimeout(0)  # do not wait for the client's close_notify
            with contextlib.suppress(OSError, ValueError):
                self.socket.unwrap()
            self.socket.settimeout(PATIENCE)
        socket.socket.shutdown(self.socket, socket.SHUT_WR)
        with contextlib.suppress(OSError):
            while self.read():
                pass
        self.close()

    def close(self) -> None:
        """Close at once. The system sends FIN, or RST if bytes of the client are unread."""
        self.open = False
        self.socket.close()

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def stall(self) -> None:
        """Neither read nor write until the test ends."""
        self._over.wait(PATIENCE)
        self.close()


Action = Callable[[Connection, Request], None]
Step = Union[bytes, Action]
Script = Union[Step, Iterable[Step]]
Greeting = Callable[[Connection], None]


class ScriptedServer:
    """A context manager that runs the script. On exit it raises the first assertion that failed in a step.

    ``tokens`` is the script of the token endpoint. ``greetings`` are called with the first connections, before the TLS
    handshake. ``tls`` is a kind of certificate (see `server_context`). With ``listening=False`` connections are refused
    until ``listen()``.
    """

    def __init__(
        self,
        script: Script = (),
        *,
        tokens: Script | None = None,
        greetings: Iterable[Greeting] = (),
        tls: str | None = None,
        listening: bool = True,
    ) -> None:
        self.requests: list[Request] = []
        self.handshakes = 0
        self._steps = {False: _steps(script), True: _steps(token_response() if tokens is None else tokens)}
        self._greetings = iter(greetings)
        self._tls = tls
        self._errors: list[Exception] = []
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._accepted: list[Connection] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.api_url = self.url + "/api/"
        self.token_url = self.url + "/oauth2/application_token"
        self.ca_bundle = CA_BUNDLE if tls else None
        if listening:
            self.listen()

    @property
    def connections(self) -> int:
        return len(self._accepted)

    @property
    def api_requests(self) -> list[Request]:
        return [request for request in self.requests if not request.wants_token]

    @property
    def token_requests(self) -> list[Request]:
        return [request for request in self.requests if request.wants_token]

    def listen(self) -> None:
        self._listener.listen(128)
        self._start(self._accept)

    def __enter__(self) -> ScriptedServer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._over.set()
        if self._threads:
            with contextlib.suppress(OSError):  # wake accept()
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            self._threads[0].join()
        self._listener.close()
        for connection in self._accepted:
            _wake(connection.socket)
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a step of the script did not end"
        if kind is None and self._errors:
            raise self._errors[0]

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            if self._over.is_set():
                sock.close()
                return
            self._accepted.append(Connection(sock, self.connections + 1, self._over))
            self._start(self._serve, self._accepted[-1], next(self._greetings, None))

    def _serve(self, connection: Connection, greeting: Greeting | None) -> None:
        connection.socket.settimeout(PATIENCE)
        try:
            if greeting is not None:
                greeting(connection)
            if self._tls and connection.open:
                connection.socket = server_context(self._tls).wrap_socket(connection.socket, server_side=True)
                with self._lock:
                    self.handshakes += 1
            while connection.open and not self._over.is_set() and self._exchange(connection):
                pass
        except OSError:
            pass  # the client closed; the test checks its result
        except Exception as error:  # noqa: BLE001
            self._errors.append(error)
        finally:
            connection.close()

    def _exchange(self, connection: Connection) -> bool:
        request = connection.read_head()
        if request is None:
            return False
        with self._lock:
            self.requests.append(request)
            step = next(self._steps[request.wants_token], None)
        assert step is not None, f"request {len(self.requests)} ({request.path}) has no step in the script"
        if isinstance(step, bytes):
            connection.read_body(request)
            connection.send(step)
        else:
            step(connection, request)
        return request.length == request.announced


def http_response(
    status: int = 200, body: bytes | str = b"", headers: Mapping[str, str] | None = None, *, framed: bool = True
) -> bytes:
    """Return a response. A Content-Length is added if ``framed`` and ``headers`` do not define the framing."""
    body = body.encode() if isinstance(body, str) else body
    headers = dict(headers or {})
    if framed and not {"content-length", "transfer-encoding"} & {name.lower() for name in headers}:
        headers["Content-Length"] = str(len(body))
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {headers[name]}" for name in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def json_response(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> bytes:
    return http_response(status, json.dumps(value), {"Content-Type": "application/json", **(headers or {})})


def token_response(token: str = "a-token", expires_in: object = 43200) -> bytes:
    return json_response({"access_token": token, "expires_in": expires_in})


def send_and_close(data: bytes = b"") -> Action:
    """Return a step that reads the request, sends ``data`` and closes."""

    def step(connection: Connection, request: Request) -> None:
        connection.read_body(request)
        connection.send(data)
        connection.close()

    return step


def send_before_body(data: bytes) -> Action:
    """Return a step that sends ``data`` before it reads the body, then FIN."""

    def step(connection: Connection, request: Request) -> None:
        connection.send(data)
        connection.finish()

    return step


def send_and_watch(data: bytes, closed: threading.Event) -> Action:
    """Return a step that sends ``data``, and sets ``closed`` when the client closes the connection."""

    def step(connection: Connection, request: Request) -> None:
        connection.read_body(request)
        connection.send(data)
        with contextlib.suppress(ConnectionError):  # a reset, if the client closes with bytes unread
            connection.read()
        closed.set()

    return step


def stall(connection: Connection, request: Request) -> None:
    """Read the request, and do not respond."""
    connection.read_body(request)
    connection.stall()


def _steps(script: Script) -> Iterator[Step]:
    return itertools.repeat(script) if isinstance(script, bytes) or callable(script) else iter(script)


def _wake(sock: socket.socket) -> None:
    """End a blocked recv() of another thread; Windows does so only when the handle is closed."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    if sys.platform == "win32":
        with contextlib.suppress(OSError):
            socket.close(sock.detach())
