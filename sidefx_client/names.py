"""File names: the last component of a path, and a name from a server made safe for a directory of ours."""

from __future__ import annotations

import contextlib
import email.message
import email.utils
import re

_LONGEST = 200  # bytes: file systems take 255, and a partial's name is longer than its target's
_ENDING = 20  # bytes: a longer one is no ending, but the rest of a sentence
_RESERVED = r"(CON|PRN|AUX|NUL|COM[0-9¹²³]|LPT[0-9¹²³]|CONIN\$|CONOUT\$) *(\..*)?"


def last_component(path: str) -> str:
    """The part after the last slash or backslash; "" where there is none."""
    return re.split(r"[/\\]", path)[-1]


def safe_name(name: str) -> str | None:
    """``name`` from a server as one that stays inside its directory on every system and hides nothing, or None.

    Only the last component is kept. Control characters, those that Windows forbids and those that turn the direction of
    text become ``_``, and so do a leading dot or hyphen and the names of Windows' devices.
    """
    name = last_component(name)
    name = "".join("_" if not c.isprintable() or c in '<>:"|?*' else c for c in name)
    name = _marked(_clipped(_marked(name.strip().rstrip(". "))))  # a clipped name may begin to be a device's
    return name if name.strip("._- ") else None


def name_in_disposition(header: str | None) -> str | None:
    """The safe file name of a Content-Disposition header (RFC 6266), or None."""
    if not header:
        return None
    with contextlib.suppress(ValueError):
        header = header.encode("latin-1").decode()  # http.client decodes raw UTF-8 as Latin-1
    message = email.message.Message()
    message["Content-Disposition"] = re.sub(r"[\r\n]+", " ", header)
    try:
        found = [value for key, value in message.get_params([], "Content-Disposition") if key.lower() == "filename"]
        found.sort(key=lambda value: isinstance(value, str))  # filename* goes before filename
        return safe_name(email.utils.collapse_rfc2231_value(found[0])) if found else None
    except ValueError:  # bytes that are not in their charset
        return None


def _marked(name: str) -> str:
    """``name`` with an underscore in place of a leading dot or hyphen, and before the name of a device."""
    if name[:1] in (".", "-"):
        return "_" + name[1:]
    return "_" + name if re.fullmatch(_RESERVED, name, re.IGNORECASE) else name


def _clipped(name: str) -> str:
    """``name`` in as many bytes as it may have, its ending kept where it is one."""
    if len(name.encode()) <= _LONGEST:
        return name
    stem, dot, ending = name.rpartition(".")
    if not stem or len(ending.encode()) > _ENDING:
        stem, dot, ending = name, "", ""
    kept = stem.encode()[: _LONGEST - len((dot + ending).encode())].decode(errors="ignore")
    return kept.rstrip(". ") + dot + ending
