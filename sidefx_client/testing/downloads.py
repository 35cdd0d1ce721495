"""Build files behind temporary signed URLs, as on the live service."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import io
import secrets
import time
from typing import TYPE_CHECKING, Any

from werkzeug import Request, Response
from werkzeug.utils import send_file

from . import data
from .calls import Refusal

if TYPE_CHECKING:
    from .server import LocalServer

LIFETIME = 3600  # of a signed URL, in seconds


class Downloads:
    """Signs URLs for get_daily_build_download, and serves the files behind them."""

    def __init__(self, server: LocalServer) -> None:
        self._server = server
        self._signed: dict[str, data.Build] = {}
        self._key = secrets.token_bytes(32)

    def expire(self) -> None:
        """Refuse all URLs that were signed so far."""
        self._key = secrets.token_bytes(32)

    def sign(self, build: data.Build) -> dict[str, Any]:
        """Return the result of get_daily_build_download for ``build``, with a new signed URL."""
        if not self._server.eula_accepted:
            raise Refusal(403, "EULA not accepted")
        name = data.filename(build)
        self._signed[name] = build
        expires = str(int(time.time()) + LIFETIME)
        signature = self._signature(name, expires)
        return {
            "date": build["date"],
            "download_url": f"{self._server.url}/download/{name}?expires={expires}&signature={signature}",
            "filename": name,
            "hash": self._md5(name),
            "releases_list": build["release"],
            "size": self._server.build_size,
            "status": build["status"],
        }

    def respond(self, request: Request, name: str) -> Response:
        """Return the file called ``name``, or the requested range of it. Raise a 403 Refusal if the URL is invalid."""
        expires = request.args.get("expires", "")
        signature = request.args.get("signature", "")
        # The signature covers `expires`, so int() cannot fail after this check.
        if not hmac.compare_digest(signature.encode(), self._signature(name, expires).encode()):
            raise Refusal(403, "This download URL is invalid or was revoked. Request a new one.")
        if int(expires) < time.time():
            raise Refusal(403, "This download URL has expired. Request a new one.")
        date = datetime.datetime.strptime(self._signed[name]["date"], "%Y/%m/%d")
        return send_file(
            io.BytesIO(data.content(name, self._server.build_size)),
            request.environ,
            mimetype="application/octet-stream",
            as_attachment=True,
            download_name=name,
            etag=self._md5(name),
            last_modified=date.replace(tzinfo=datetime.timezone.utc),
        )

    def _md5(self, name: str) -> str:
        content = data.content(name, self._server.build_size)
        return hashlib.md5(content, usedforsecurity=False).hexdigest()

    def _signature(self, name: str, expires: str) -> str:
        return hmac.new(self._key, f"{name}\n{expires}".encode(), "sha256").hexdigest()
