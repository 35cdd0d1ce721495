"""``download_file`` and ``download_build``: a file, or an installer, fetched as nobody should have to write it.

``transfer`` asks the ``remote`` end for what is missing, with ``patience``, and writes it to the ``partial`` while
``hashing`` reads along. ``workers`` does the same over several connections at a time.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from ..errors import ConfigError, DownloadError
from ..names import safe_name
from ..progress import ProgressCallback
from ..proxy import Service, call
from ..transport.connection import BLOCK
from ..transport.session import Session
from ..urls import why_unsafe
from .remote import RemoteFile


def download_file(
    url: str,
    path: str | os.PathLike[str],
    *,
    size: int | None = None,
    md5: str | None = None,
    progress: ProgressCallback | None = None,
    connections: int = 1,
    session: requests.Session | None = None,
) -> Path:
    """Fetches ``url`` to ``path`` and returns that path; no token goes along.

    The bytes go to a partial beside ``path``, which the next call resumes, and are hashed on their way. They
    replace an older file only when they are whole: ``size`` bytes of the given ``md5`` (hex), where these are known.
    ``progress(done, total)`` in bytes; what it raises cancels, and reaches the caller. ``connections``: how many fetch
    parts of the file at a time, where the server lets them. ``session``: its proxies, ``verify`` and ``cert`` are used.

    Raises ConfigError before anything is sent, OSError for the disk, DownloadError (with ``http_code``) and its
    ChecksumError, and TransportError where another try can only fail too, as for a bad certificate.
    """
    reason = why_unsafe(url, "url") or _bad_facts(size, md5) or _bad_options(progress, connections)
    if reason:
        del url  # in no frame that raises: a signed one is a secret
        raise ConfigError(reason)
    source = RemoteFile(url, size, md5)
    del url
    return _fetch(source, Path(path), session, progress, connections)


def download_build(
    service: Service,
    product: str,
    version: str,
    build: str | int = "production",
    platform: str | None = None,
    directory: str | os.PathLike[str] = ".",
    *,
    progress: ProgressCallback | None = None,
    connections: int = 1,
) -> Path:
    """Fetches a build of Houdini, or of another product, into ``directory`` under the name that the API gives it.

    ``directory`` must be there: it is not made. ``build`` is a number or "production", the newest production build;
    ``platform`` None means this machine's. A file that is there and has the right size and MD5 is not fetched again; a
    signed URL that dies midway is renewed. For the rest see ``download_file``. Returns the path.

    Raises also what a call raises: APIError says "EULA not accepted" until the account has accepted it.
    https://www.sidefx.com/docs/api/download/index.html
    """
    if not isinstance(service, Service):
        raise TypeError(f"download_build() takes a service first, not {type(service).__name__}")
    reason = _bad_options(progress, connections)
    if reason:
        raise ConfigError(reason)
    folder = Path(directory)
    os.scandir(folder).close()  # an OSError now, where there is no such directory, and not after the call
    arguments = (product, version, str(build), platform or this_platform())

    def offer() -> _Offer:
        return _Offer(call(service, "download.get_daily_build_download", arguments))

    first = offer()
    name = first.checked_name()
    target = folder / name
    if _is_there(target, first.source):
        if progress is not None:
            progress(target.stat().st_size, first.source.size)
        return target

    def renew() -> RemoteFile:
        again = offer()
        if again.checked_name() != name:
            raise DownloadError(f"{name} was replaced by a newer build meanwhile: start again")
        return again.source

    return _fetch(first.source, target, service._client.session, progress, connections, renew)


def this_platform() -> str:
    """The API's name of the platform that this Python runs on: linux, macos, macosx_arm64 or win64."""
    if sys.platform == "darwin":
        return "macosx_arm64" if os.uname().machine == "arm64" else "macos"
    return "win64" if sys.platform in ("win32", "cygwin") else "linux"


class _Offer:
    """What the API says of a build: the name of its file, and where it is."""

    def __init__(self, answer: Any) -> None:
        fields = answer if isinstance(answer, dict) else {}
        url, size, md5 = fields.get("download_url"), fields.get("size"), fields.get("hash")
        self._name = safe_name(str(fields.get("filename") or ""))
        self._fault = why_unsafe(url, "the download_url") or _bad_facts(size, md5)
        self.source = RemoteFile(url if isinstance(url, str) else "", size, md5 if isinstance(md5, str) else None)

    def checked_name(self) -> str:
        if self._name is None or self._fault:
            raise DownloadError(f"the API's answer cannot be used: {self._fault or 'it has no filename'}")
        return self._name


def _fetch(
    source: RemoteFile,
    target: Path,
    like: Session | requests.Session | None,
    progress: ProgressCallback | None,
    connections: int,
    renew: Callable[[], RemoteFile] | None = None,
) -> Path:
    from .transfer import fetch  # with what it brings a fifth of this package: not for who fetches nothing

    if isinstance(like, Session):
        return fetch(source, target, like, progress, connections, renew)
    session = Session(like)
    try:
        return fetch(source, target, session, progress, connections, renew)
    finally:
        session.close()


def _bad_facts(size: Any, md5: Any) -> str | None:
    """Why these cannot be true of a file, or None."""
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 0):
        return f"size must be a number of bytes, not {size!r}"
    if md5 is not None and not (isinstance(md5, str) and re.fullmatch("[0-9a-fA-F]{32}", md5)):
        return "md5 must be 32 hexadecimal digits"
    return None


def _bad_options(progress: Any, connections: Any) -> str | None:
    if progress is not None and not callable(progress):
        return "progress must be callable: progress(done, total)"
    if not isinstance(connections, int) or isinstance(connections, bool) or not 1 <= connections <= 32:
        return f"connections must be a number from 1 to 32, not {connections!r}"
    return None


def _is_there(path: Path, source: RemoteFile) -> bool:
    if source.md5 is None or not path.is_file() or source.size not in (None, path.stat().st_size):
        return False
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "rb", buffering=0) as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest() == source.md5
