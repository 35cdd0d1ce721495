"""The local server as a WSGI application: the two token URLs, API calls, and build files."""

from __future__ import annotations

import io
import json
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING, Any

from werkzeug import Request, Response
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException
from werkzeug.utils import send_file

from .calls import Call, Download, Refusal, Stream, Upload
from .downloads import Downloads
from .faults import DOWNLOAD, TOKEN, Faults
from .functions import DocumentedFunctions
from .tracebacks import server_error

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from .server import LocalServer

# Uploads of a request larger than this go to disk, in bytes.
SPOOL_LIMIT = 1 << 20


class APIRequest(Request):
    """A request of any size: form fields can hold long calls, and large uploads go to files in ``spool``."""

    max_form_memory_size = sys.maxsize
    spool: list[IO[bytes]]

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        if total_content_length is not None and total_content_length <= SPOOL_LIMIT:
            return io.BytesIO()
        file = tempfile.TemporaryFile()  # noqa: SIM115 (Application.close() closes it)
        self.spool.append(file)
        return file


class Application:
    """The routes of a LocalServer. Reads its options and appends to its records."""

    def __init__(self, server: LocalServer) -> None:
        self.downloads = Downloads(server)
        self.functions = DocumentedFunctions(server, self.downloads)
        self.faults = Faults()
        self.tokens: dict[str, float] = {}
        self._server = server
        self._lock = threading.Lock()
        self._spool: list[IO[bytes]] = []

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = APIRequest(environ)
        request.spool = self._spool
        with self._lock:
            self._server.requests += 1
        try:
            response = self._route(request)
        except Refusal as refusal:
            response = Response(refusal.message, refusal.status, mimetype="text/plain")
        except HTTPException as error:
            response = Response.force_type(error.get_response(environ))
        if self._server.set_cookie:
            response.headers.add("Set-Cookie", self._server.set_cookie)
        return response(environ, start_response)

    def close(self) -> None:
        """Delete the uploads on disk."""
        for file in self._spool:
            file.close()

    def _route(self, request: APIRequest) -> Response:
        path = request.path.rstrip("/")
        if path.startswith("/download/"):
            _expect_method(request, "GET", "HEAD")
            return self._download(request, path[len("/download/") :])
        if path in ("/oauth2/application_token", "/oauth2/token"):
            _expect_method(request, "POST")
            return self._token(request, standard=path == "/oauth2/token")
        if path == "/api":
            _expect_method(request, "POST")
            return self._call(request)
        raise Refusal(404, f"Not found on the local server: {path or '/'}. API calls go to /api/.")

    def _token(self, request: Request, standard: bool) -> Response:
        server = self._server
        with self._lock:
            server.token_requests += 1
        if (fault := self.faults.apply(TOKEN)) is not None:
            return fault
        pair = request.authorization
        if pair is None or pair.type != "basic":
            raise Refusal(403, "The client id and secret are missing: they go in a Basic Authorization header.")
        if (pair.username, pair.password) != (server.client_id, server.client_secret):
            raise Refusal(403, "Invalid client id or client secret.")
        if standard and request.form.get("grant_type") != "client_credentials":
            raise Refusal(400, "grant_type must be client_credentials at this URL.")
        if not standard and request.get_data():
            raise Refusal(400, "The body must be empty at this URL; grant_type is for /oauth2/token.")
        token = secrets.token_urlsafe(24)
        self.tokens[token] = time.monotonic() + server.token_lifetime
        return _json({"access_token": token, "expires_in": server.token_lifetime, "token_type": "Bearer"})

    def _call(self, request: APIRequest) -> Response:
        if (fault := self.faults.apply_unread()) is not None:
            return fault
        call = _read_call(request)
        self._server.calls.append(call)
        if (fault := self.faults.apply(call.name)) is not None:
            return fault
        if self._server.authenticate:
            self._check_token(request)
        try:
            return self._run(call, request.environ)
        except Refusal:
            raise
        except BaseException as error:  # noqa: BLE001 (raised by close(); pytest.fail() is not an Exception)
            self._server.errors.append(error)
            return server_error(error, self._server.debug, self._server.newline)

    def _check_token(self, request: Request) -> None:
        bearer = request.authorization
        if bearer is None or bearer.type != "bearer" or bearer.token is None:
            raise Refusal(401, "The access token is missing: it goes in a Bearer Authorization header.")
        if self.tokens.get(bearer.token, 0.0) <= time.monotonic():
            raise Refusal(401, "The access token is unknown, revoked or expired.")

    def _run(self, call: Call, environ: WSGIEnvironment) -> Response:
        kwargs = {**call.kwargs, **call.files}
        function = self._server.functions.get(call.name)
        if function is None:
            result = self.functions.call(call.name, call.args, kwargs)
        else:
            result = function(*call.args, **kwargs)
        if isinstance(result, (bytes, bytearray, memoryview)):
            result = Stream(bytes(result))
        return _stream(result, environ) if isinstance(result, Stream) else _json(result)

    def _download(self, request: Request, name: str) -> Response:
        self._server.downloads.append(Download(name, Headers(request.headers)))
        if (fault := self.faults.apply(DOWNLOAD)) is not None:
            return fault
        return self.downloads.respond(request, name)


def _expect_method(request: Request, *methods: str) -> None:
    if request.method not in methods:
        raise Refusal(405, f"{request.path} takes {' and '.join(methods)}, not {request.method}.")


def _read_call(request: Request) -> Call:
    files = {
        keyword: Upload(part.filename or "", part.content_type or "", part.stream)
        for keyword, part in request.files.items()
    }
    try:
        name, args, kwargs = json.loads(request.form["json"])
    except (KeyError, ValueError, TypeError):
        name = args = kwargs = None
    if not (isinstance(name, str) and isinstance(args, list) and isinstance(kwargs, dict)):
        raise Refusal(400, 'The form field json must be ["module.function", [positional], {keyword}].')
    return Call(name, args, kwargs, files, Headers(request.headers))


def _json(value: Any) -> Response:
    return Response(json.dumps(value), mimetype="application/json")


def _stream(stream: Stream, environ: WSGIEnvironment) -> Response:
    file = stream.open()
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    response = send_file(
        file,
        environ,
        mimetype="application/octet-stream",
        as_attachment=stream.name is not None,
        download_name=stream.name,
        conditional=False,
        etag=False,
    )
    response.content_length = size
    return response
