"""Tokens kept in a file, so that the many short processes of a farm share one.

Nothing that goes wrong here breaks a call: at worst one more token is asked for. A token is in no frame that
raises (see sealed).
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import sys
import tempfile
import time
from typing import Any

from ..errors import ConfigError
from ..log import logger
from ..sealed import Sealed, seal

LONGEST = 365 * 86400.0  # seconds: a longer lifetime is believed of no token

_LIMIT = 1 << 20  # bytes: thousands of tokens; more is no file of ours


class TokenCache:
    """The tokens of any number of clients and token URLs, in a JSON file at ``path``; never a client secret.

    The file has mode 0600, in a directory of mode 0700 where that has to be made. It is replaced, never
    written into: a reader sees the old file or the new. No lock: of two that write at once one wins. A file
    that holds no tokens is replaced too. A link, a directory, and what belongs to others or can be read by
    them, is left alone, and one WARNING is logged (not ``warnings.warn``, which under ``-W error`` would
    raise). Windows has no such modes and owners: there the directory's access list says who may read, as it
    does for all files of a user's profile.
    """

    def __init__(self, path: str | os.PathLike[str], token_url: str) -> None:
        if not isinstance(path, (str, os.PathLike)):
            raise ConfigError(f"token_cache must be the path of a file, not {type(path).__name__}")
        self._path = os.fsdecode(path)
        self._token_url = token_url
        self._warned = False

    def get(self, client_id: str) -> tuple[str, float] | None:
        """The token of this client that is good by the clock, and until when in seconds since the epoch."""
        kept = self._load() or {}
        found = kept.get(self._key(client_id))
        return found() if found else None

    def put(self, client_id: str, value: str, expiry: float) -> None:
        """Keeps the token for others, in place of an older one; expired ones of all clients go."""
        token = seal(value, expiry)
        del value  # in no frame that raises
        kept = self._load()
        if kept is not None:
            kept[self._key(client_id)] = token
            self._save(kept)

    def _key(self, client_id: str) -> str:
        return f"{self._token_url} {client_id}"  # a checked URL has no blank

    def _load(self) -> dict[str, Sealed] | None:
        """The good tokens that are there, or None where the file is not to be touched."""
        try:
            if os.path.islink(self._path):
                raise OSError(errno.EPERM, "it is a link")
            with open(self._path, "rb", opener=_open_no_link) as file:
                _check_ours(os.fstat(file.fileno()))
                return _parse(file.read(_LIMIT))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:  # ValueError: a path that cannot be one
            self._warn(error)
            return None

    def _save(self, kept: dict[str, Sealed]) -> None:
        folder, name = os.path.split(self._path)
        try:
            os.makedirs(folder or ".", 0o700, exist_ok=True)
            # Of mode 0600 from the start. Not flushed to the disk: what a power cut leaves is a miss.
            file, new = tempfile.mkstemp(".tmp", name + ".", folder or ".")
            try:
                with open(file, "wb") as stream:
                    stream.write(_text(kept))
                os.replace(new, self._path)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(new)
                raise
        except (OSError, ValueError) as error:
            self._warn(error)

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            reason = getattr(error, "strerror", None) or "not a path"
            logger.warning("the token cache %r is left alone, tokens are not shared: %s", self._path, reason)


def is_token(value: Any) -> bool:
    """Whether ``value`` can stand in a header: visible ASCII."""
    return isinstance(value, str) and bool(value) and value.isascii() and value.isprintable() and " " not in value


def _open_no_link(path: str, flags: int) -> int:
    # O_NONBLOCK: to open a FIFO must not wait for its other end.
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))


def _check_ours(state: os.stat_result) -> None:
    if not stat.S_ISREG(state.st_mode):
        raise OSError(errno.EPERM, "it is not a regular file")
    if sys.platform == "win32":
        return
    if state.st_uid != os.geteuid():
        raise OSError(errno.EPERM, "it belongs to another user")
    if state.st_mode & 0o077:
        raise OSError(
            errno.EPERM, f"others may read or write it (mode {state.st_mode & 0o777:o}): chmod 600 it, or remove it"
        )


def _parse(data: bytes) -> dict[str, Sealed]:
    """The tokens that are good by the clock; what is none was never there."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    entries = found.items() if isinstance(found, dict) else ()
    return {key: seal(entry["access_token"], float(entry["expiry"])) for key, entry in entries if _is_good(entry)}


def _is_good(entry: Any) -> bool:
    if not isinstance(entry, dict) or not is_token(entry.get("access_token")):
        return False
    expiry, now = entry.get("expiry"), time.time()
    return isinstance(expiry, (int, float)) and now < expiry < now + LONGEST  # not NaN, nor a bool


def _text(kept: dict[str, Sealed]) -> bytes:
    entries = {key: dict(zip(("access_token", "expiry"), token())) for key, token in kept.items()}
    return json.dumps(entries, indent=1).encode()
