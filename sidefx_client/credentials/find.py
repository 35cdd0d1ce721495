"""The search for the client id and the client secret: the first place that has them wins.

The places are arguments, environment, the vendor's files and ``~/.netrc``. Nothing is read before ``find`` is called.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from typing import Any, NoReturn
from urllib.parse import urlsplit

from requests.auth import AuthBase

from ..errors import ConfigError
from ..secret import Secret, optional
from ..urls import is_loopback
from .key_files import (
    Pair,
    hserver_ini_paths,
    ini_pairs,
    is_sidefx,
    key_line_pairs,
    load,
    netrc_pair,
    netrc_paths,
)

_BLANKS = " \t\r"  # without "\n", because a line break shows that the variable has two values


class Credentials(AuthBase):
    """A checked pair of client id and client secret, and ``source``, the place that it came from.

    Called with a request, it sets the header of HTTP Basic.
    """

    def __init__(self, client_id: str, client_secret: Secret, source: str) -> None:
        self.client_id = client_id
        self.source = source
        self._client_secret = client_secret  # held for as long as the Basic value, so that both are redacted
        self._basic = Secret(_basic_value(client_id, client_secret))

    def __call__(self, request: Any) -> Any:
        request.headers["Authorization"] = f"Basic {self._basic.reveal()}"
        return request

    def __repr__(self) -> str:
        return f"Credentials(client_id={self.client_id!r}, source={self.source!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("Credentials hold a secret and cannot be copied or pickled: find them again")


def _basic_value(client_id: str, client_secret: Secret) -> str:
    return base64.b64encode(f"{client_id}:{client_secret.reveal()}".encode()).decode("ascii")


def find(client_id: str | None, client_secret: Secret | None, *, token_url: str) -> Credentials:
    """Return the credentials for the host of ``token_url``: the given pair, else those of the first place.

    Raises ConfigError if no place has any (the message lists them all), if a place has half of a pair, and if
    HOUDINI_API_KEY_FILE names an unusable file. An unreadable hserver.ini or netrc file is skipped and listed.
    ``token_url`` is a safe URL.
    """
    host = urlsplit(token_url).hostname or ""
    searched = []
    for place, found in _places((client_id, client_secret), host):
        if isinstance(found, Credentials):
            return found
        searched.append(f"  {place}: {found}")
    raise ConfigError(
        f"No credentials for {host}. Searched, in this order:\n"
        + "\n".join(searched)
        + "\nSet SIDEFX_CLIENT_ID and SIDEFX_CLIENT_SECRET, or, for sidefx.com, write the lines 'ClientID = ...' and "
        f"'ClientSecret = ...' into {hserver_ini_paths()[-1]}. A pair comes from https://www.sidefx.com/services/"
    )


def _places(given: Pair, host: str) -> Iterator[tuple[str, Credentials | str]]:
    """Yield each place by name, with the credentials or the reason why it has none. Read no place before its turn."""
    yield "arguments", "not given" if given == (None, None) else _require_pair(given, "arguments")
    yield "SIDEFX_CLIENT_ID and SIDEFX_CLIENT_SECRET (or SIDEFX_CLIENT_SECRET_KEY)", _environment()
    # The vendor's pairs are sent to the vendor only, so that changing the token URL cannot collect them.
    foreign = "" if is_sidefx(host) or is_loopback(host) else f"not read, because its keys are not for {host}"
    yield "HOUDINI_API_KEY_FILE", foreign or _api_key_file()
    for path in hserver_ini_paths():
        yield path, foreign or _hserver_ini(path)
    for path in netrc_paths():
        found = netrc_pair(path, host)
        yield path, found if isinstance(found, str) else _require_pair(found, path)


def _require_pair(pair: Pair, source: str) -> Credentials:
    """Return the credentials if the pair is complete and HTTP Basic (RFC 7617) can carry it, else raise ConfigError."""
    client_id, client_secret = (_stripped(half) for half in pair)
    for name, value in (("client id", client_id), ("client secret", client_secret)):
        problem = _problem(value)
        if problem:
            raise ConfigError(f"Credentials from {source}: the {name} {problem}.")
    if ":" in client_id:
        raise ConfigError(f"Credentials from {source}: the client id has a colon, at which the server would split it.")
    return Credentials(client_id, client_secret, source)


def _stripped(half: Any) -> Any:
    """Remove blanks at both ends, such as those that cmd's ``set X=abc && ...`` leaves."""
    if isinstance(half, Secret) and isinstance(half.reveal(), str):
        return Secret(half.reveal().strip(_BLANKS))
    return half.strip(_BLANKS) if isinstance(half, str) else half


def _problem(half: object) -> str | None:
    """Return why one half of a pair cannot be used, or None."""
    if half is None:
        return "is missing, give both or neither"
    value = half.reveal() if isinstance(half, Secret) else half
    if not isinstance(value, str):
        return f"must be a str, not {type(value).__name__}"
    if not value:
        return "is blank"
    if value[0] in "\"'" and value[0] == value[-1]:
        return f"is enclosed in quotes ({value[0]}): remove them"
    # U+FFFD is left by our decoding of bytes that are not text.
    if not value.isprintable() or "\ufffd" in value:
        return "has a line break or another character that no key has: copy it again"
    return None


def _environment() -> Credentials | str:
    names = ("SIDEFX_CLIENT_SECRET", "SIDEFX_CLIENT_SECRET_KEY")
    name = next(filter(os.environ.get, names), names[0])
    # Many job systems set an empty variable for a secret that they do not have.
    pair = os.environ.get("SIDEFX_CLIENT_ID") or None, optional(os.environ.get(name) or None)
    return "not set" if pair == (None, None) else _require_pair(pair, f"SIDEFX_CLIENT_ID and {name}")


def _api_key_file() -> Credentials | str:
    variable = "HOUDINI_API_KEY_FILE"
    if not os.environ.get(variable):
        return "not set"
    # Do not show the value: people sometimes put the key itself in this variable.
    pairs = load(os.environ[variable], key_line_pairs)
    if not pairs or isinstance(pairs, str):
        raise ConfigError(
            f"{variable} names a file that {pairs or 'has no key'}. Set it to the path of a text file with the line "
            "'<client id> <client secret>', or unset it."
        )
    return _first(pairs, os.environ[variable]) or "has keys for other servers only"


def _hserver_ini(path: str) -> Credentials | str:
    key_files: list[str] = []
    pairs = load(path, lambda text: ini_pairs(text, key_files))
    if isinstance(pairs, str):
        return pairs
    reasons = ["has no key for sidefx.com"]
    for key_file in key_files:
        more = load(key_file, key_line_pairs)
        if isinstance(more, str):
            reasons.append(f"its APIKeyFile {more}")
        else:
            pairs += more
    return _first(pairs, path) or ", ".join(reasons)


def _first(pairs: list[Pair | None], source: str) -> Credentials | None:
    return next((_require_pair(pair, source) for pair in pairs if pair), None)
