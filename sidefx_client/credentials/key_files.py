"""The files that hold pairs of client id and secret: the vendor's, and netrc.

None in place of a pair stands for the key of another server.
"""

from __future__ import annotations

import codecs
import os
import sys
from collections import defaultdict
from collections.abc import Callable
from typing import Optional

from ..secret import Secret, optional

Pair = tuple[Optional[str], Optional[Secret]]  # client id and client secret

MAX_FILE_SIZE = 1 << 20  # bytes; a path may name a device that never ends

_WINDOWS = ("${SystemDrive}/ProgramData/SideFX", "${USERPROFILE}/AppData/Roaming/SideFX")
HSERVER_INI = {  # by sys.platform: the system's directory, then the user's
    "win32": _WINDOWS,
    "cygwin": _WINDOWS,
    "darwin": ("/Library/Preferences/sesi/hserver", "~/Library/Application Support/sidefx"),
    "linux": ("/usr/lib/sesi/hserver", "~/.local/share/sidefx"),
}


def is_sidefx(host: str) -> bool:
    """Return whether the host is the vendor's."""
    return host == "sidefx.com" or host.endswith(".sidefx.com")


def hserver_ini_paths() -> list[str]:
    """Return the paths of the system's file and of the user's."""
    directories = HSERVER_INI.get(sys.platform, HSERVER_INI["linux"])
    return [_normal(os.path.expandvars(directory) + "/hserver.ini") for directory in directories]


def _normal(path: str) -> str:
    """Return the path with ``~`` expanded, and on Windows with one kind of separator."""
    return os.path.normpath(os.path.expanduser(path))


def load(path: str, parse: Callable[[str], list[Pair | None]]) -> list[Pair | None] | str:
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


def ini_pairs(text: str, key_files: list[str]) -> list[Pair | None]:
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
    pairs: list[Pair | None] = [(client_id, Secret(secret)) for client_id, secret in zip(ids, secrets)]
    return pairs + key_line_pairs("\n".join(values["apikey"]))


def key_line_pairs(text: str) -> list[Pair | None]:
    """Return the keys of lines ``id secret`` or ``server id secret``. A ``;`` separates several in a line."""
    pairs: list[Pair | None] = []
    for key in text.replace(";", "\n").splitlines():
        words = key.split()
        if len(words) == 3:
            pairs.append((words[1], Secret(words[2])) if is_sidefx(words[0].lower()) else None)
        elif len(words) == 2:
            pairs.append((words[0], Secret(words[1])))
        elif len(words) == 1:  # it may be the secret
            pairs.append(("-", None))
    return pairs


def netrc_paths() -> list[str]:
    """Return the netrc files to read, which are those of requests."""
    named = os.environ.get("NETRC")
    return [_normal(name) for name in ([named] if named else ["~/.netrc", "~/_netrc"])]


def netrc_pair(path: str, host: str) -> Pair | str:
    """Return the pair for the host in a netrc file, or why there is none."""
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
