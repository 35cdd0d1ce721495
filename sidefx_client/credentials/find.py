"""Where the client id and the client secret come from: the first place that has them wins.

Arguments, environment, the vendor's files, ``~/.netrc``. Nothing is read before ``find`` is called. A secret is
in no frame that raises (see sealed).
"""

from __future__ import annotations

import base64
import codecs
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import NoReturn, Optional
from urllib.parse import urlsplit

from ..errors import ConfigError
from ..sealed import Sealed, seal
from ..urls import is_loopback

Entry = Optional[Sealed]  # (client id, client secret); None stands for a key that is meant for another server

FILE_LIMIT = 1 << 20  # bytes; a path may name a device that never ends

_WINDOWS = ("${SystemDrive}/ProgramData/SideFX", "${USERPROFILE}/AppData/Roaming/SideFX")
HSERVER_INI = {  # by sys.platform: the system's directory, then the user's
    "win32": _WINDOWS,
    "cygwin": _WINDOWS,
    "darwin": ("/Library/Preferences/sesi/hserver", "~/Library/Application Support/sidefx"),
    "linux": ("/usr/lib/sesi/hserver", "~/.local/share/sidefx"),
}


class Credentials:
    """A checked pair of client id and client secret, and ``source``, the place that it came from.

    ``find`` makes it. The secret leaves it only through ``basic()``.
    """

    def __init__(self, pair: Sealed, source: str) -> None:
        self._pair = pair
        self.client_id: str = pair()[0]
        self.source = source

    def basic(self) -> str:
        """The value of the Authorization header that asks for a token: ``Basic <base64 of id:secret>``."""
        return "Basic " + base64.b64encode(":".join(self._pair()).encode()).decode("ascii")

    def __repr__(self) -> str:
        return f"Credentials(client_id={self.client_id!r}, source={self.source!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("Credentials hold a secret and cannot be copied or pickled: find them anew")


def find(given: Sealed, *, token_url: str) -> Credentials:
    """The credentials for the host of ``token_url``: the ``given`` pair, else the first place that has any.

    Raises ConfigError where no place has any (the message lists them all), where a place has half of a pair, and where
    HOUDINI_API_KEY_FILE names a file that is of no use. An hserver.ini or a netrc file that cannot be read is passed
    over and listed. ``token_url`` is a URL that ``urls.checked`` let through.
    """
    host = urlsplit(token_url).hostname or ""
    looked_at = []
    for place, found in _places(given, host):
        if isinstance(found, Credentials):
            return found
        looked_at.append(f"  {place}: {found}")
    raise ConfigError(
        f"No credentials for {host}. Looked at, in this order:\n"
        + "\n".join(looked_at)
        + "\nSet SIDEFX_CLIENT_ID and SIDEFX_CLIENT_SECRET, or, for sidefx.com, write the lines 'ClientID = ...' and "
        f"'ClientSecret = ...' into {_hserver_ini_paths()[-1]}. A pair comes from https://www.sidefx.com/services/"
    )


def _places(given: Sealed, host: str) -> Iterator[tuple[str, Credentials | str]]:
    """Each place by name, with the credentials or the reason why not; none is read before it is asked for."""
    yield "arguments", _checked(given, "arguments") if _is_given(given) else "not given"
    yield "SIDEFX_CLIENT_ID and SIDEFX_CLIENT_SECRET (or SIDEFX_CLIENT_SECRET_KEY)", _environment()
    # The vendor's pairs are for the vendor: who can change the token URL must not be able to collect them.
    foreign = "" if _is_sidefx(host) or is_loopback(host) else f"not read, its keys are not for {host}"
    yield "HOUDINI_API_KEY_FILE", foreign or _api_key_file()
    for path in _hserver_ini_paths():
        yield path, foreign or _hserver_ini(path)
    for path in _netrc_paths():
        yield path, _netrc(path, host)


def _is_given(pair: Sealed) -> bool:
    return any(half is not None for half in pair())


def _checked(pair: Sealed, source: str) -> Credentials:
    """A pair that is whole and that HTTP Basic (RFC 7617) can carry; else ConfigError."""
    fault = _fault(*pair())
    if fault:
        raise ConfigError(f"Credentials from {source}: {fault}.")
    return Credentials(pair, source)


def _fault(client_id: object, client_secret: object) -> str | None:
    for name, value in (("client id", client_id), ("client secret", client_secret)):
        if value is None:
            return f"the {name} is missing, give both or neither"
        if not isinstance(value, str):
            return f"the {name} must be a str, not {type(value).__name__}"
        if not value.strip():
            return f"the {name} is blank"
        # U+FFFD is what our own decoding leaves of bytes that are no text.
        if not value.isprintable() or "\ufffd" in value:
            return f"the {name} has a line break, or another character that no key has; copy it again"
        if name == "client id" and ":" in value:
            return "the client id has a colon, at which the server would cut it"
    return None


def _is_sidefx(host: str) -> bool:
    return host == "sidefx.com" or host.endswith(".sidefx.com")


def _environment() -> Credentials | str:
    names = ("SIDEFX_CLIENT_SECRET", "SIDEFX_CLIENT_SECRET_KEY")
    name = next(filter(os.environ.get, names), names[0])
    # An empty variable is an unset one: that is what many job systems make of a secret that they do not have.
    pair = seal(os.environ.get("SIDEFX_CLIENT_ID") or None, os.environ.get(name) or None)
    return _checked(pair, f"SIDEFX_CLIENT_ID and {name}") if _is_given(pair) else "not set"


def _api_key_file() -> Credentials | str:
    variable = "HOUDINI_API_KEY_FILE"
    if not os.environ.get(variable):
        return "not set"
    # The path is in no message and no variable before it proves to be one: people put the key itself there.
    entries = _load(os.environ[variable], _key_line_entries)
    if not entries or isinstance(entries, str):
        raise ConfigError(
            f"{variable} names a file that {entries or 'has no key'}. Let it name a text file with the line "
            "'<client id> <client secret>', or unset it."
        )
    return _first(entries, os.environ[variable]) or "has keys for other servers only"


def _hserver_ini_paths() -> list[str]:
    directories = HSERVER_INI.get(sys.platform, HSERVER_INI["linux"])
    return [_normal(os.path.expandvars(directory) + "/hserver.ini") for directory in directories]


def _netrc_paths() -> list[str]:
    if os.environ.get("NETRC"):
        return [_normal(os.environ["NETRC"])]
    # Programs on Windows also use the second name, as requests does.
    return [_normal(name) for name in ("~/.netrc", "~/_netrc")[: 2 if sys.platform == "win32" else 1]]


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
    return found if isinstance(found, str) else _checked(found, path)


def _first(entries: list[Entry], source: str) -> Credentials | None:
    return next((_checked(pair, source) for pair in entries if pair), None)


def _load(path: str, parse: Callable[[str], list[Entry]]) -> list[Entry] | str:
    """The keys in a file in their order, or the words for why it could not be read."""
    try:
        with open(path, "rb") as file:
            content = file.read(FILE_LIMIT)
    except FileNotFoundError:
        return "is not there"
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        return f"cannot be read ({getattr(error, 'strerror', None) or 'not a path'})"
    # Windows PowerShell writes UTF-16 where a person says `echo ... > file`.
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return parse(content.decode(encoding, errors="replace"))


def _ini_entries(text: str, key_files: list[str]) -> list[Entry]:
    """The keys of an hserver.ini, in the vendor's order; the files that it names go into ``key_files``."""
    values = defaultdict(list)
    for line in text.splitlines():
        name, _, value = (part.strip() for part in line.partition("="))
        if value:
            values[name.lower()].append(value)
    key_files += values["apikeyfile"]
    ids, secrets = values["clientid"], values["clientsecret"]
    # With one too few, nobody can say which belong together.
    if len(ids) != len(secrets):
        return [seal(None, "") if len(ids) < len(secrets) else seal("-", None)]
    entries: list[Entry] = [seal(*pair) for pair in zip(ids, secrets)]
    return entries + _key_line_entries("\n".join(values["apikey"]))


def _key_line_entries(text: str) -> list[Entry]:
    """The keys of lines ``id secret`` or ``server id secret``, several of them joined by ``;``."""
    entries: list[Entry] = []
    for key in text.replace(";", "\n").splitlines():
        words = key.split()
        if len(words) == 3:
            entries.append(seal(words[1], words[2]) if _is_sidefx(words[0].lower()) else None)
        elif 1 <= len(words) <= 2:
            entries.append(seal(words[0], words[1] if words[1:] else None))
    return entries


def _netrc_entry(path: str, host: str) -> Sealed | str:
    import netrc  # most processes end their search before this place

    try:
        with open(path, "rb", buffering=0) as file:
            # Notepad and PowerShell begin a file with a byte order mark, which the parser would take for a word.
            if file.read(3) != codecs.BOM_UTF8:
                file.seek(0)
            machines = netrc.netrc(os.dup(file.fileno())).hosts  # type: ignore[arg-type]  # it calls open()
    except FileNotFoundError:
        return "is not there"
    except (OSError, ValueError, netrc.NetrcParseError):  # their words may quote a password
        return "cannot be read as a netrc file"
    # A `default` entry is for FTP servers of old, and is filed under that name.
    for machine, (login, _, password) in machines.items():
        if machine.lower() == host != "default":
            return seal(login or None, password or None)
    return f"has no entry for {host}"
