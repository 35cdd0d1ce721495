"""The files of builds, behind temporary signed URLs as on the live service."""

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

LIFETIME = 3600  # seconds for which a signed URL is good


class Downloads:
    """What get_daily_build_download offers, and what is then fetched."""

    def __init__(self, server: LocalServer) -> None:
        self._server = server
        self._offered: dict[str, data.Build] = {}
        self._key = secrets.token_bytes(32)

    def expire(self) -> None:
        """Refuses all URLs given out until now."""
        self._key = secrets.token_bytes(32)

    def offer(self, build: data.Build) -> dict[str, Any]:
        """The build download of the protocol, with a new signed URL."""
        if not self._server.eula_accepted:
            raise Refusal(403, "EULA not accepted")
        name = data.filename(build)
        self._offered[name] = build
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

    def answer(self, request: Request, name: str) -> Response:
        """The file called ``name``, or the part that the request wants; 403 where its URL is not good."""
        expires = request.args.get("expires", "")
        signature = request.args.get("signature", "")
        # Digits only, compared as they were signed; the signature is checked first, so that int() cannot fail.
        if not hmac.compare_digest(signature.encode(), self._signature(name, expires).encode()):
            raise Refusal(403, "This download URL is not, or no longer, valid. Ask for a new one.")
        if int(expires) < time.time():
            raise Refusal(403, "This download URL has expired. Ask for a new one.")
        date = datetime.datetime.strptime(self._offered[name]["date"], "%Y/%m/%d")
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
