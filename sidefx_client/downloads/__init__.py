"""``download_file`` and ``download_build``: downloads that resume, and that verify a file before it replaces another.

``workers`` are threads that receive, each over one connection of the ``remote`` server. ``transfer`` controls one
download in the caller's thread. It writes the blocks to the ``partial`` file, hashes them, and reports progress.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

from ..errors import ConfigError, DownloadError
from ..names import safe_name
from ..progress import Progress, ProgressCallback
from ..proxy import Service, call
from ..transport.adapter import AnyPath
from ..transport.connection import BLOCK
from ..transport.session import Session
from ..urls import why_unsafe
from .remote import RangeClient, RemoteFile, quoted


def download_file(
    url: str,
    path: AnyPath,
    *,
    size: int | None = None,
    md5: str | None = None,
    progress: ProgressCallback | None = None,
    connections: int = 1,
    session: requests.Session | None = None,
) -> Path:
    """Download ``url`` to ``path`` and return that path. No token is sent.

    The bytes go to a partial file beside ``path``, which the next call resumes. A complete file replaces an older one
    only if it has the given ``size`` in bytes and ``md5`` (hex). While another process downloads to the same ``path``,
    the bytes go to a private partial file. Then both processes fetch the whole file.
    ``progress(done, total)`` is called with bytes. An exception from it cancels the download and reaches the caller.
    At most ``connections`` fetch parts of the file at the same time. ``session`` sends all requests.

    Raises ConfigError before anything is sent, OSError for the disk, and DownloadError (with ``http_code``) or its
    subclass ChecksumError. Raises TransportError if a retry cannot help, such as for a bad certificate.
    """
    reason = why_unsafe(url, "url") or _invalid_expectation(size, md5) or _invalid_option(progress, connections)
    if reason:
        del url  # a signed URL is secret, so no frame that raises may show it
        raise ConfigError(reason)
    source = RemoteFile(url, size, md5)
    del url
    client = RangeClient(source, Session(session))
    from .transfer import Transfer  # imported late, because calls do not need this fifth of the package

    with contextlib.closing(client.session):
        Transfer(client, Path(path).absolute(), progress, connections).run()
    return Path(path)


def download_build(
    service: Service,
    product: str,
    version: str,
    build: str | int = "production",
    platform: str | None = None,
    directory: AnyPath = ".",
    *,
    progress: ProgressCallback | None = None,
    connections: int = 1,
) -> Path:
    """Download a build of Houdini or of another product into ``directory`` and return its path.

    ``directory`` is created if it is missing; the API names the file. ``build`` is a number, "production" for the
    newest production build, or "latest" for the newest good build, daily builds included. ``platform`` None means this
    machine's. A file of the right size and MD5 is not downloaded again. An expired URL is replaced during the download.
    For the rest see ``download_file``. Also raises the errors of a call, such as "EULA not accepted".
    https://www.sidefx.com/docs/api/download/index.html
    """
    if reason := _invalid_option(progress, connections):
        raise ConfigError(reason)
    folder = Path(directory).absolute()  # the working directory may change meanwhile
    folder.mkdir(parents=True, exist_ok=True)
    platform = platform or this_platform()
    if build == "latest":
        newest = {"platform": platform, **newest_build(service, product, version, platform)}
        version, build, platform = (str(newest.get(name)) for name in ("version", "build", "platform"))
    arguments = (product, version, str(build), platform)
    name, source = _request_build(service, arguments)
    target = folder / name
    if _is_complete(target, source):
        Progress(progress, source.size).update(target.stat().st_size)
    else:
        from .transfer import Transfer

        client = RangeClient(source, service._session)
        Transfer(client, target, progress, connections, lambda: _request_build(service, arguments, name)[1]).run()
    return Path(directory) / name


def _request_build(service: Service, arguments: tuple[str, ...], known: str | None = None) -> tuple[str, RemoteFile]:
    """Return the file name and the file of a build. Raise DownloadError if its name is no longer the ``known`` one."""
    name, source = _described(call(service, "download.get_daily_build_download", arguments))
    if known not in (None, name):
        raise DownloadError(f"{known} was replaced by a newer build meanwhile; start again")
    return name, source


def this_platform() -> str:
    """Return the API's name of this machine's platform: linux, linux_arm64, macos, macosx_arm64 or win64."""
    if sys.platform in ("win32", "cygwin"):
        return "win64"
    is_arm = os.uname().machine in ("arm64", "aarch64")
    if sys.platform == "darwin":
        return "macosx_arm64" if is_arm else "macos"
    return "linux_arm64" if is_arm else "linux"


def _described(response: Any) -> tuple[str, RemoteFile]:
    """Return the file name and the file of the API's description of a build."""
    fields = response if isinstance(response, dict) else {}
    url, size, md5 = fields.get("download_url"), fields.get("size") or None, fields.get("hash") or None
    url = quoted(url.strip()) if isinstance(url, str) else url
    if isinstance(size, str) and re.fullmatch(r"\s*[0-9]{1,18}\s*", size):
        size = int(size) or None
    name = safe_name(str(fields.get("filename") or ""))
    reason = why_unsafe(url, "download_url") or _invalid_expectation(size, md5)
    if name is None or reason:
        del url, fields, response  # a signed URL is secret, so no frame that raises may show it
        raise DownloadError(f"the API's description of the build is unusable: {reason or 'it has no filename'}")
    return name, RemoteFile(str(url), size, md5)


def newest_build(
    service: Service, product: str, version: str | list[str] | None, platform: str, only_production: bool = False
) -> dict[str, Any]:
    """Return the newest good build for a platform, with its newest compiler, or raise DownloadError."""
    filters = {"only_production": True} if only_production else {}
    builds = call(service, "download.get_daily_builds_list", (product, version, platform), filters)
    good = [b for b in builds if isinstance(b, dict) and b.get("status") == "good"] if isinstance(builds, list) else []
    if product not in ("docker", "sidefxlabs"):  # the builds of these are the same for all platforms
        good = [b for b in good if _family(str(b.get("platform"))) == _family(platform)]
    good = [b for b in good if b.get("platform") == platform] or good  # a long form selects a compiler
    if not good:
        versions = " ".join([version] if isinstance(version, str) else version or ["of any version"])
        raise DownloadError(f"no good build of {product} {versions} for {platform}")
    return max(good, key=version_key)


def version_key(build: Mapping[str, Any]) -> list[list[int]]:
    """Return a key that sorts builds from old to new by number. The API sorts numbers as text."""
    texts = [str(build.get(name)) for name in ("version", "build", "platform")]
    return [[int(digits) for digits in re.findall("[0-9]{1,18}", text)] for text in texts]


def _family(platform: str) -> str:
    """Return the family of a platform, for comparisons: linux for linux_x86_64_gcc11.2."""
    match = re.match("(linux|mac|win)(?:osx)?(?:os)?(_arm64)?", platform)
    return match[1] + (match[2] or "") if match else platform


def _invalid_expectation(size: Any, md5: Any) -> str | None:
    """Return why a file cannot have this size or MD5, or None."""
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 0):
        return f"size must be a number of bytes, not {size!r}"
    if md5 is not None and not (isinstance(md5, str) and re.fullmatch("[0-9a-fA-F]{32}", md5)):
        return "md5 must be 32 hexadecimal digits"
    return None


def _invalid_option(progress: Any, connections: Any) -> str | None:
    if progress is not None and not callable(progress):
        return "progress must be callable: progress(done, total)"
    if not isinstance(connections, int) or isinstance(connections, bool) or not 1 <= connections <= 32:
        return f"connections must be a number from 1 to 32, not {connections!r}"
    return None


def _is_complete(path: Path, source: RemoteFile) -> bool:
    """Return whether the file exists with the right size and MD5."""
    if source.md5 is None or not path.is_file() or source.size not in (None, path.stat().st_size):
        return False
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "rb", buffering=0) as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest() == source.md5
