"""The search for the client id and the client secret: the first place that has them wins.

The places are arguments, environment, the vendor's files and ``~/.netrc``. Nothing is read before ``find`` is called.
"""

from __future__ import annotations

import base64
import codecs
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, Optional
from urllib.parse import urlsplit

from requests.auth import AuthBase

from ..errors import ConfigError
from ..secret import Secret, optional
from ..urls import is_loopback

Pair = tuple[Optional[str], Optional[Secret]]  # client id and client secret

_BLANKS = " \t\r"  # not a line end, which is a sign of two values in one variable

MAX_FILE_SIZE = 1 << 20  # bytes; a path may name a device that never ends

_WINDOWS = ("${SystemDrive}/ProgramData/SideFX", "${USERPROFILE}/AppData/Roaming/SideFX")
HSERVER_INI = {  # by sys.platform: the system's directory, then the user's
    "win32": _WINDOWS,
    "cygwin": _WINDOWS,
    "darwin": ("/Library/Preferences/sesi/hserver", "~/Library/Application Support/sidefx"),
    "linux": ("/usr/lib/sesi/hserver", "~/.local/share/sidefx"),
}


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
    """Yield each place by name, with the credentials or the reason why it has none. Each is read when reached."""
    yield "arguments", "not given" if given == (None, None) else _require_pair(given, "arguments")
    yield "SIDEFX_CLIENT_ID and SIDEFX_CLIENT_SECRET (or SIDEFX_CLIENT_SECRET_KEY)", _environment()
    # The vendor's pairs are sent to the vendor only, so that changing the token URL cannot collect them.
    foreign = "" if _is_sidefx(host) or is_loopback(host) else f"not read, because its keys are not for {host}"
    yield "HOUDINI_API_KEY_FILE", foreign or _api_key_file()
    for path in hserver_ini_paths():
        yield path, foreign or _hserver_ini(path)
    for path in _netrc_paths():
        yield path, _netrc(path, host)


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


def _is_sidefx(host: str) -> bool:
    return host == "sidefx.com" or host.endswith(".sidefx.com")


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
    entries = _load(os.environ[variable], _key_line_entries)
    if not entries or isinstance(entries, str):
        raise ConfigError(
            f"{variable} names a file that {entries or 'has no key'}. Set it to the path of a text file with the line "
            "'<client id> <client secret>', or unset it."
        )
    return _first(entries, os.environ[variable]) or "has keys for other servers only"


def hserver_ini_paths() -> list[str]:
    """Return the paths of the system's file and of the user's."""
    directories = HSERVER_INI.get(sys.platform, HSERVER_INI["linux"])
    return [_normal(os.path.expandvars(directory) + "/hserver.ini") for directory in directories]


def _normal(path: str) -> str:
    """Return the path with ``~`` expanded, and on Windows with one kind of separator."""
    return os.path.normpath(os.path.expanduser(path))


def _hserver_ini(path: str) -> Credentials | str:
    key_files: list[str] = []
    entries = _load(path, lambda text: _ini_entries(text, key_files))
    if isinstance(entries, str):
        return entries
    reasons = ["has no key for sidefx.com"]
    for key_file in key_files:
        more = _load(key_file, _key_line_entries)
        if isinstance(more, str):
            reasons.append(f"its APIKeyFile {more}")
        else:
            entries += more
    return _first(entries, path) or ", ".join(reasons)


def _netrc(path: str, host: str) -> Credentials | str:
    found = _netrc_entry(path, host)
    return found if isinstance(found, str) else _require_pair(found, path)


def _first(entries: list[Pair | None], source: str) -> Credentials | None:
    return next((_require_pair(pair, source) for pair in entries if pair), None)


def _load(path: str, parse: Callable[[str], list[Pair | None]]) -> list[Pair | None] | str:
    """Return the keys of a file in their order, or why it could not be read. None stands for another server's key."""
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_FILE_SIZE)
    except FileNotFoundError:
        return "does not exist"
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        return f"cannot be read ({getattr(error, 'strerror', None) or 'not a path'})"
    # Windows PowerShell writes UTF-16 for `echo ... > file`.
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return parse(content.decode(encoding, errors="replace"))


def _ini_entries(text: str, key_files: list[str]) -> list[Pair | None]:
    """Return the keys of an hserver.ini in the vendor's order. Append the files that it names to ``key_files``."""
    values = defaultdict(list)
    for line in text.splitlines():
        name, _, value = (part.strip() for part in line.partition("="))
        if value:
            values[name.lower()].append(value)
    key_files += values["apikeyfile"]
    ids, secrets = values["clientid"], values["clientsecret"]
    if len(ids) != len(secrets):  # it is not known which belong together
        return [(None, Secret("")) if len(ids) < len(secrets) else ("-", None)]
    entries: list[Pair | None] = [(client_id, Secret(secret)) for client_id, secret in zip(ids, secrets)]
    return entries + _key_line_entries("\n".join(values["apikey"]))


def _key_line_entries(text: str) -> list[Pair | None]:
    """Return the keys of lines ``id secret`` or ``server id secret``, several of them joined by ``;``."""
    entries: list[Pair | None] = []
    for key in text.replace(";", "\n").splitlines():
        words = key.split()
        if len(words) == 3:
            entries.append((words[1], Secret(words[2])) if _is_sidefx(words[0].lower()) else None)
        elif len(words) == 2:
            entries.append((words[0], Secret(words[1])))
        elif len(words) == 1:  # it may be the secret
            entries.append(("-", None))
    return entries


def _netrc_paths() -> list[str]:
    """Return the netrc files to read, which are those of requests."""
    named = os.environ.get("NETRC")
    return [_normal(name) for name in ([named] if named else ["~/.netrc", "~/_netrc"])]


def _netrc_entry(path: str, host: str) -> Pair | str:
    import netrc  # seldom needed: most searches end before this place

    try:
        with open(path, "rb", buffering=0) as file:
            # Notepad and PowerShell begin a file with a byte order mark, which the parser would take for a word.
            if file.read(3) != codecs.BOM_UTF8:
                file.seek(0)
            machines = netrc.netrc(os.dup(file.fileno())).hosts  # type: ignore[arg-type]  # it calls open()
    except FileNotFoundError:
        return "does not exist"
    except (OSError, ValueError, netrc.NetrcParseError):  # their texts may quote a password
        return "cannot be read as a netrc file"
    # The `default` entry is meant for FTP servers, and is filed under that name.
    for machine, (login, _, password) in machines.items():
        if machine.lower() == host != "default":
            return login or None, optional(password or None)
    return f"has no entry for {host}"
