"""Tokens kept in a file, so that the many short processes of a farm share a token.

A failure here never fails a call: at worst one more token is requested.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
import time
from pathlib import Path

from ..atomic import AtomicFile, open_own
from ..auth import MAX_TOKEN_LIFETIME, is_token
from ..errors import ConfigError, logger
from ..secret import Secret
from .key_files import MAX_FILE_SIZE

_Token = tuple[Secret, float]  # and its expiry in seconds since the epoch


class TokenCache:
    """The tokens of any number of clients and token URLs, in a JSON file at ``path``; never a client secret.

    The file has mode 0600, in a directory of mode 0700 if that has to be made. It is replaced, never written into, so
    that a reader sees the old file or the new. There is no lock: of two concurrent writers one wins. A file with
    other content is replaced too. A link, or a file that other users own or can read, is left alone, and one WARNING is
    logged. Windows has no such modes and owners, so only the access list of the directory protects the file there.
    """

    def __init__(self, path: str | os.PathLike[str], token_url: str) -> None:
        if not isinstance(path, (str, os.PathLike)) or os.path.isdir(os.path.expanduser(path)):
            raise ConfigError(f"token_cache must be the path of a file, not {path!r}")
        self._path = os.path.expanduser(os.fsdecode(path))
        self._token_url = token_url
        self._warned = False

    def get(self, client_id: str) -> _Token | None:
        """Return the unexpired token of this client, with its expiry in seconds since the epoch."""
        try:
            return self._load().get(f"{self._token_url} {client_id}")
        except (OSError, ValueError) as error:
            self._warn(error)
            return None

    def put(self, client_id: str, value: Secret, expiry: float) -> None:
        """Keep the token for other processes, in place of an older one. Expired ones of all clients are removed."""
        try:
            tokens = self._load()
            tokens[f"{self._token_url} {client_id}"] = value, expiry  # a safe URL has no blank
            os.makedirs(os.path.dirname(self._path) or ".", 0o700, exist_ok=True)
            with AtomicFile(self._path, private=True) as file:
                file.write(memoryview(_text(tokens)))  # its repr does not show the tokens
                file.commit()
        except (OSError, ValueError) as error:
            self._warn(error)

    def _load(self) -> dict[str, _Token]:
        """Return the unexpired tokens. Raises OSError or ValueError if the file must be left alone."""
        try:
            # O_NONBLOCK, because opening a FIFO would wait for its other end.
            with open_own(Path(self._path), os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)) as file:
                if sys.platform != "win32" and os.fstat(file.fileno()).st_mode & 0o077:
                    raise OSError(errno.EPERM, "other users can read it (chmod 600)")
                return _parse(file.read(MAX_FILE_SIZE))
        except FileNotFoundError:
            return {}

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            reason = getattr(error, "strerror", None) or "not a path"
            logger.warning("the token cache %r is not used, tokens are not shared: %s", self._path, reason)


def _parse(data: bytes) -> dict[str, _Token]:
    """Return the unexpired tokens. Entries after a malformed one are ignored."""
    tokens: dict[str, _Token] = {}
    now = time.time()
    with contextlib.suppress(ValueError, RecursionError, AttributeError, TypeError, LookupError):
        for key, entry in json.loads(data).items():
            token, expiry = entry["access_token"], entry["expiry"]
            if is_token(token) and now < expiry < now + MAX_TOKEN_LIFETIME:  # neither NaN nor a bool
                tokens[key] = Secret(token), float(expiry)
    return tokens


def _text(tokens: dict[str, _Token]) -> bytes:
    entries = {key: {"access_token": value.reveal(), "expiry": expiry} for key, (value, expiry) in tokens.items()}
    return json.dumps(entries, indent=1).encode()
