"""The files that hold pairs of client id and secret: the vendor's, and netrc.

If there is no pair, the functions return a text with the reason.
"""

from __future__ import annotations

import codecs
import os
import sys
from collections import defaultdict
from collections.abc import Callable
from typing import Optional, Union

from ..secret import Secret, optional

Pair = tuple[Optional[str], Optional[Secret]]  # client id and client secret
Found = Union[Pair, str]

MAX_FILE_SIZE = 1 << 20  # bytes; a path may name a device that never ends
OTHER_SERVER = "has no key for sidefx.com"

HSERVER_INI = {  # by sys.platform: the system's directory, then the user's
    "win32": ("${SystemDrive}/ProgramData/SideFX", "${USERPROFILE}/AppData/Roaming/SideFX"),
    "darwin": ("/Library/Preferences/sesi/hserver", "~/Library/Application Support/sidefx"),
    "linux": ("/usr/lib/sesi/hserver", "~/.local/share/sidefx"),
}


def is_sidefx(host: str) -> bool:
    """Return whether the host is the vendor's."""
    return host == "sidefx.com" or host.endswith(".sidefx.com")


def hserver_ini_paths() -> list[str]:
    """Return the paths of the system's file and of the user's."""
    directories = HSERVER_INI.get(sys.platform.replace("cygwin", "win32"), HSERVER_INI["linux"])
    return [_normal(os.path.expandvars(directory) + "/hserver.ini") for directory in directories]


def netrc_paths() -> list[str]:
    """Return the netrc files to read, which are those of requests."""
    named = os.environ.get("NETRC")
    return [_normal(name) for name in ([named] if named else ["~/.netrc", "~/_netrc"])]


def _normal(path: str) -> str:
    """Return the path with ``~`` expanded, and on Windows with one kind of separator."""
    return os.path.normpath(os.path.expanduser(path))


def first_pair(path: str, parse: Callable[[str], list[Found]]) -> Found:
    """Return the first pair in a file, or the reason for its absence. ``parse`` is ``ini`` or ``key_lines``."""
    found = _load(path, parse)
    pairs = (each for each in found if not isinstance(each, str))
    return next(pairs, ", ".join(map(str, dict.fromkeys(found))) or "has no key")


def _load(path: str, parse: Callable[[str], list[Found]]) -> list[Found]:
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_FILE_SIZE)
    except FileNotFoundError:
        return ["does not exist"]
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        return [f"cannot be read ({getattr(error, 'strerror', None) or 'not a path'})"]
    # Windows PowerShell writes UTF-16 for `echo ... > file`.
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return parse(content.decode(encoding, errors="replace"))


def ini(text: str) -> list[Found]:
    """Return the keys of an hserver.ini, and of the files that it names, in the vendor's order."""
    values = ini_values(text.splitlines())
    ids, secrets = values["clientid"].values(), values["clientsecret"].values()
    if len(ids) != len(secrets):  # it is not known which belong together
        return [(None, Secret("")) if len(ids) < len(secrets) else ("-", None)]
    found: list[Found] = [(client_id, Secret(secret)) for client_id, secret in zip(ids, secrets)]
    found += key_lines("\n".join(values["apikey"].values()))
    for path in values["apikeyfile"].values():
        found += [f"its APIKeyFile {each}" if isinstance(each, str) else each for each in _load(path, key_lines)]
    return found


def ini_values(lines: list[str]) -> dict[str, dict[int, str]]:
    """Return the values in the lines of an hserver.ini, by their names and the numbers of their lines."""
    values: dict[str, dict[int, str]] = defaultdict(dict)
    for number, line in enumerate(lines):
        name, _, value = (part.strip() for part in line.partition("="))
        if value:
            values[name.lower()][number] = value
    return values


def key_lines(text: str) -> list[Found]:
    """Return the keys of lines ``id secret`` or ``server id secret``. A ``;`` separates several in a line."""
    found: list[Found] = []
    for words in map(str.split, text.replace(";", "\n").splitlines()):
        if len(words) in (2, 3):
            is_ours = len(words) == 2 or is_sidefx(words[0].lower())
            found.append((words[-2], Secret(words[-1])) if is_ours else OTHER_SERVER)
        elif len(words) == 1:  # it may be the secret
            found.append(("-", None))
    return found


def netrc_entry(path: str, host: str) -> Found:
    """Return the login and the password for the host in a netrc file."""
    import netrc  # seldom needed: most searches end before this place

    try:
        with open(path, "rb", buffering=0) as file:
            # Notepad and PowerShell begin a file with a byte order mark, which the parser would take for a word.
            file.seek(3 if file.read(3) == codecs.BOM_UTF8 else 0)
            machines = netrc.netrc(os.dup(file.fileno())).hosts  # type: ignore[arg-type]  # it calls open()
    except (OSError, ValueError, netrc.NetrcParseError):  # their texts may quote a password
        return "cannot be read as a netrc file" if os.path.exists(path) else "does not exist"
    # netrc lists its `default` entry as a machine of that name. It is meant for FTP servers, so it is not used.
    for machine, (login, _, password) in machines.items():
        if machine.lower() == host != "default":
            return login or None, optional(password or None)
    return f"has no entry for {host}"
