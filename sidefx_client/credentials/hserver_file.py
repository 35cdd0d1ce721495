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
from .key_files import ini_values

_BOMS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be", b"": "utf-8"}


def client_ids(path: str) -> list[str]:
    """Return the client ids of the file in their order, [] if it does not exist."""
    return list(ini_values(_read(path)[1])["clientid"].values())


def write_pair(path: str, client_id: str, client_secret: Secret | None) -> None:
    """Replace the secret of the client id, or append the pair; without a secret remove it. The file gets mode 0600.

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
