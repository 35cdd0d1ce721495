"""Tokens kept in a file, so that the many short processes of a farm share one.

A failure here never fails a call: at worst one more token is requested.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
import time
from typing import Any

from ..atomic import AtomicFile
from ..auth import MAX_TOKEN_LIFETIME, is_token
from ..errors import ConfigError
from ..log import logger
from ..secret import Secret

MAX_FILE_SIZE = 1 << 20  # bytes: thousands of tokens

_Token = tuple[Secret, float]  # and its expiry in seconds since the epoch


class TokenCache:
    """The tokens of any number of clients and token URLs, in a JSON file at ``path``; never a client secret.

    The file has mode 0600, in a directory of mode 0700 if that has to be made. It is replaced, never written into, so
    that a reader sees the old file or the new. There is no lock: of two concurrent writers one wins. A file with
    other content is replaced too. A link is left alone, and so is a file that other users own or can read; one WARNING
    is logged. Windows has no such modes and owners, so only the access list of the directory protects the file there.
    """

    def __init__(self, path: str | os.PathLike[str], token_url: str) -> None:
        if not isinstance(path, (str, os.PathLike)):
            raise ConfigError(f"token_cache must be the path of a file, not {type(path).__name__}")
        self._path = os.path.expanduser(os.fsdecode(path))
        if os.path.isdir(self._path):
            raise ConfigError(f"token_cache must be the path of a file, not of a directory: {self._path}")
        self._token_url = token_url
        self._warned = False

    def get(self, client_id: str) -> _Token | None:
        """Return the unexpired token of this client, with its expiry in seconds since the epoch."""
        return (self._load() or {}).get(self._key(client_id))

    def put(self, client_id: str, value: Secret, expiry: float) -> None:
        """Keep the token for other processes, in place of an older one. Expired ones of all clients are removed."""
        tokens = self._load()
        if tokens is not None:
            tokens[self._key(client_id)] = value, expiry
            self._save(tokens)

    def _key(self, client_id: str) -> str:
        return f"{self._token_url} {client_id}"  # a safe URL has no blank

    def _load(self) -> dict[str, _Token] | None:
        """Return the unexpired tokens, or None if the file must be left alone."""
        try:
            if os.path.islink(self._path):
                raise OSError(errno.EPERM, "it is a link")
            with open(self._path, "rb", opener=_open_no_link) as file:
                _check_ours(os.fstat(file.fileno()))
                return _parse(file.read(MAX_FILE_SIZE))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:  # ValueError: an invalid path
            self._warn(error)
            return None

    def _save(self, tokens: dict[str, _Token]) -> None:
        try:
            os.makedirs(os.path.dirname(self._path) or ".", 0o700, exist_ok=True)
            with AtomicFile(self._path, private=True) as file:
                file.write(memoryview(_text(tokens)))  # its repr does not show the tokens
                file.commit()
        except (OSError, ValueError) as error:
            self._warn(error)

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            reason = getattr(error, "strerror", None) or "not a path"
            logger.warning("the token cache %r is not used, tokens are not shared: %s", self._path, reason)


def _open_no_link(path: str, flags: int) -> int:
    # O_NONBLOCK, because opening a FIFO would wait for its other end.
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


def _parse(data: bytes) -> dict[str, _Token]:
    """Return the unexpired tokens. Entries that are not valid tokens are ignored."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    entries = found.items() if isinstance(found, dict) else ()
    return {key: (Secret(entry["access_token"]), float(entry["expiry"])) for key, entry in entries if _is_valid(entry)}


def _is_valid(entry: Any) -> bool:
    if not isinstance(entry, dict) or not is_token(entry.get("access_token")):
        return False
    expiry, now = entry.get("expiry"), time.time()
    return isinstance(expiry, (int, float)) and now < expiry < now + MAX_TOKEN_LIFETIME  # not NaN, nor a bool


def _text(tokens: dict[str, _Token]) -> bytes:
    entries = {key: {"access_token": value.reveal(), "expiry": expiry} for key, (value, expiry) in tokens.items()}
    return json.dumps(entries, indent=1).encode()
