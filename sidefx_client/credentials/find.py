"""The search for the client id and the client secret: the first place that has them wins.

The places are arguments, environment, the vendor's files and ``~/.netrc``. Nothing is read before ``find`` is called.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from ..errors import ConfigError
from ..secret import Secret, optional
from ..urls import is_loopback
from . import key_files
from .key_files import Found, Pair

_BLANKS = " \t\r"  # without "\n", because a line break shows that the variable has two values
_SECRETS = ("SIDEFX_CLIENT_SECRET", "SIDEFX_CLIENT_SECRET_KEY")
_KEY_FILE = "HOUDINI_API_KEY_FILE"


class Credentials:
    """A checked pair of client id and client secret, and ``source``, the place that it came from.

    Called with a request, it sets the header of HTTP Basic.
    """

    def __init__(self, client_id: str, client_secret: Secret, source: str) -> None:
        self.client_id = client_id
        self.source = source
        self._client_secret = client_secret  # held for as long as the Basic value, so that both are redacted
        self._basic = Secret(base64.b64encode(f"{client_id}:{client_secret.reveal()}".encode()).decode("ascii"))

    def __call__(self, request: Any) -> Any:
        request.headers["Authorization"] = f"Basic {self._basic.reveal()}"
        return request


def find(client_id: str | None, client_secret: Secret | None, *, token_url: str) -> Credentials:
    """Return the credentials for the host of ``token_url``: the given pair, else those of the first place.

    Raises ConfigError if no place has a pair; the message lists all places. Also raises it if a place has half of a
    pair, and if HOUDINI_API_KEY_FILE names an unusable file. An unreadable hserver.ini or netrc file is skipped and
    listed.
    ``token_url`` is a safe URL.
    """
    host = urlsplit(token_url).hostname or ""
    lines = [f"No credentials for {host}. Searched, in this order:"]
    for place, found in _places((client_id, client_secret), host):
        if not isinstance(found, str):
            return _checked(found, place)
        lines.append(f"  {place}: {found}")
    lines.append(
        "Set SIDEFX_CLIENT_ID and SIDEFX_CLIENT_SECRET, or, for sidefx.com, write the lines 'ClientID = ...' and "
        f"'ClientSecret = ...' into {key_files.hserver_ini_paths()[-1]}. A pair comes from https://www.sidefx.com/services/"
    )
    raise ConfigError("\n".join(lines))


def _places(given: Pair, host: str) -> Iterator[tuple[str, Found]]:
    """Yield each place by name, with its pair or the reason for its absence. Read each place when it is reached."""
    yield "arguments", "not given" if given == (None, None) else given
    name = next(filter(os.environ.get, _SECRETS), " (or ".join(_SECRETS) + ")")
    # Many job systems set an empty variable for a secret that they do not have.
    pair = os.environ.get("SIDEFX_CLIENT_ID") or None, optional(os.environ.get(name) or None)
    yield f"SIDEFX_CLIENT_ID and {name}", "not set" if pair == (None, None) else pair
    # The vendor's pairs are sent to the vendor only, so that changing the token URL cannot collect them.
    foreign = "" if key_files.is_sidefx(host) or is_loopback(host) else f"not read, because its keys are not for {host}"
    yield _KEY_FILE, foreign or _key_file()
    for path in key_files.hserver_ini_paths():
        yield path, foreign or key_files.first_pair(path, key_files.ini)
    for path in key_files.netrc_paths():
        yield path, key_files.netrc_entry(path, host)


def _key_file() -> Found:
    if not os.environ.get(_KEY_FILE):
        return "not set"
    found = key_files.first_pair(os.environ[_KEY_FILE], key_files.key_lines)
    if isinstance(found, str) and found != key_files.OTHER_SERVER:
        # Do not show the value: people sometimes put the key itself in this variable.
        raise ConfigError(f"{_KEY_FILE} names a file that {found}: write '<client id> <client secret>' into it")
    return found


def _checked(pair: tuple[Any, Any], source: str) -> Credentials:
    """Return the credentials if the pair is complete and HTTP Basic (RFC 7617) can carry it, else raise ConfigError."""
    for name, half in zip(("client id", "client secret"), pair):
        problem = _problem(half, is_id=name == "client id")
        if problem:
            raise ConfigError(f"Credentials from {source}: the {name} {problem}.")
    return Credentials(pair[0].strip(_BLANKS), Secret(pair[1].reveal().strip(_BLANKS)), source)


def _problem(half: object, *, is_id: bool) -> str | None:
    """Return why one half of a pair cannot be used, or None."""
    value = half.reveal() if isinstance(half, Secret) else half
    if not isinstance(value, (str, type(None))):
        return f"must be a str, not {type(value).__name__}"
    value = (value or "").strip(_BLANKS)  # such as those that cmd's ``set X=abc && ...`` leaves
    if not value:
        return "is missing or blank: give both or neither"
    if value[0] in "\"'" and value[0] == value[-1]:
        return f"is enclosed in quotes ({value[0]}): remove them"
    # The server splits at a colon. U+FFFD is left by our decoding of bytes that are not text.
    if not value.isprintable() or "\ufffd" in value or (is_id and ":" in value):
        return "has a line break, a colon or another character that no key has: copy it again"
    return None
