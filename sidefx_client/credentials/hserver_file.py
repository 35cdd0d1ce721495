"""Write a pair of client id and secret to the user's hserver.ini, which Houdini reads too, or remove it from there.

``find`` pairs the n-th ``ClientID`` line with the n-th ``ClientSecret`` line, so this module does too. All other lines
stay byte for byte. Frames that raise do not hold the content, because it has secrets.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..atomic import AtomicFile, require_regular_file
from ..errors import ConfigError
from ..secret import Secret
from .key_files import hserver_ini_paths

_BOMS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be", b"": "utf-8"}


def user_path() -> str:
    """Return the path of the user's hserver.ini, spelled as in ``Credentials.source``."""
    return hserver_ini_paths()[-1]


def client_ids(path: str) -> list[str]:
    """Return the client ids of the file in their order, [] if it does not exist."""
    lines = _read(path)[1]
    return [_value(lines[number]) for number in _numbers(lines, "clientid")]


def write_pair(path: str, client_id: str, client_secret: Secret | None) -> None:
    """Replace the secret of the client id, or append the pair. The file gets mode 0600.

    Raises OSError, or ConfigError if the file has a ``ClientID`` without a ``ClientSecret`` or the reverse.
    """
    target = Path(os.path.realpath(path))  # a link stays a link
    require_regular_file(target)  # before it is read, because opening a FIFO would wait for its other end
    if not _is_paired(path):
        raise ConfigError(f"{path} has a ClientID without a ClientSecret, or the reverse: correct it first")
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with AtomicFile(target, private=True) as file:
        file.write(memoryview(_edited(path, client_id, client_secret)))  # its repr does not show the secret
        file.commit()


def remove_pair(path: str, client_id: str) -> None:
    """Remove the two lines of a pair. Raises as ``write_pair`` does."""
    write_pair(path, client_id, None)


def _read(path: str) -> tuple[bytes, list[str]]:
    """Return the byte order mark and the lines of the file, each with its line end."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return b"", []
    bom = next(bom for bom in _BOMS if content.startswith(bom))
    return bom, content[len(bom) :].decode(_BOMS[bom], "surrogateescape").splitlines(keepends=True)


def _is_paired(path: str) -> bool:
    lines = _read(path)[1]
    return len(_numbers(lines, "clientid")) == len(_numbers(lines, "clientsecret"))


def _numbers(lines: list[str], name: str) -> list[int]:
    """Return the numbers of the lines that give a value to ``name``."""
    return [n for n, line in enumerate(lines) if line.partition("=")[0].strip().lower() == name and _value(line)]


def _value(line: str) -> str:
    return line.partition("=")[2].strip()


def _edited(path: str, client_id: str, client_secret: Secret | None) -> bytes:
    """Return the content of the file with the pair, or without it if its secret is None."""
    bom, lines = _read(path)
    numbers = zip(_numbers(lines, "clientid"), _numbers(lines, "clientsecret"))
    found = [pair for pair in numbers if _value(lines[pair[0]]) == client_id]
    line_end = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    if client_secret is None:
        removed = {number for pair in found for number in pair}
        lines = [line for number, line in enumerate(lines) if number not in removed]
    elif found:
        for _, number in found:
            name, _, value = lines[number].partition("=")
            lines[number] = f"{name}={value.replace(value.strip(), client_secret.reveal(), 1)}"
    else:
        if lines and not lines[-1].endswith(("\n", "\r")):
            lines[-1] += line_end
        lines += [f"ClientID = {client_id}{line_end}", f"ClientSecret = {client_secret.reveal()}{line_end}"]
    return bom + "".join(lines).encode(_BOMS[bom], "surrogateescape")
