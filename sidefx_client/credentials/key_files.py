"""The files that hold pairs of client id and secret: the vendor's, and netrc.

If there is no pair, the reading functions return a text with the reason. ``write_pair`` changes the user's hserver.ini,
which Houdini reads too. Frames that raise do not hold its content, because it has secrets.
"""

from __future__ import annotations

import codecs
import os
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Optional, Union

from ..atomic import AtomicFile, require_regular_file
from ..errors import ConfigError
from ..secret import Secret, optional

Pair = tuple[Optional[str], Optional[Secret]]  # client id and client secret
Found = Union[Pair, str]

MAX_FILE_SIZE = 1 << 20  # bytes; a path may name a device that never ends
OTHER_SERVER = "has no key for sidefx.com"
_BOMS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be", b"": "utf-8"}

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


def client_ids(path: str) -> list[str]:
    """Return the client ids of the file in their order, [] if it does not exist."""
    return list(ini_values(_read(path)[1])["clientid"].values())


def write_pair(path: str, client_id: str, client_secret: Secret | None) -> None:
    """Replace the secret of the client id, or append the pair; without a secret remove it. The file gets mode 0600.

    As in ``ini``, the n-th ``ClientID`` line belongs to the n-th ``ClientSecret`` line. All others stay byte for byte.
    Raises OSError, or ConfigError if the file has a ``ClientID`` without a ``ClientSecret`` or the reverse.
    """
    target = Path(os.path.realpath(path))  # a link stays a link
    require_regular_file(target)  # before it is read, because opening a FIFO would wait for its other end
    content = _edited(path, client_id, client_secret)
    if content is None:
        raise ConfigError(f"{path} has a ClientID without a ClientSecret, or the reverse: correct it first")
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with AtomicFile(target, private=True) as file:
        file.write(content)
        file.commit()


def _read(path: str) -> tuple[bytes, list[str]]:
    """Return the byte order mark and the lines of the file, each with its line end."""
    content = Path(path).read_bytes() if os.path.exists(path) else b""
    bom = next(bom for bom in _BOMS if content.startswith(bom))
    return bom, content[len(bom) :].decode(_BOMS[bom], "surrogateescape").splitlines(keepends=True)


def _edited(path: str, client_id: str, client_secret: Secret | None) -> memoryview | None:
    """Return the new content, None if the file has half a pair. The repr of a memoryview does not show secrets."""
    bom, lines = _read(path)
    values = ini_values(lines)
    ids, secrets = values["clientid"], values["clientsecret"]
    if len(ids) != len(secrets):
        return None
    end = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    new = ["", ""]
    if client_secret is not None:
        new = [f"ClientID = {client_id}{end}", f"ClientSecret = {client_secret.reveal()}{end}"]
    for id_line, secret_line in zip(ids, secrets):
        if ids[id_line] == client_id:
            lines[id_line], lines[secret_line] = new
    if client_id not in ids.values():
        if lines and not lines[-1].endswith(("\n", "\r")):
            lines[-1] += end
        lines += new
    return memoryview(bom + "".join(lines).encode(_BOMS[bom], "surrogateescape"))
