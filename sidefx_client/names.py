"""File names: the last component of a path, and names from a server made safe for a local directory."""

from __future__ import annotations

import contextlib
import email.message
import email.utils
import re

from .errors import redact

MAX_LENGTH = 200  # bytes without an added "_": file systems accept 255, and temporary files have longer names
_RESERVED = r"(CON|PRN|AUX|NUL|COM[0-9¹²³]|LPT[0-9¹²³]|CONIN\$|CONOUT\$) *(\..*)?"


def last_component(path: str) -> str:
    """Return the part after the last slash or backslash, "" if the path ends with one."""
    return re.split(r"[/\\]", path)[-1]


def safe_name(name: str) -> str | None:
    """Return a form of a server's file name that is safe on every system, or None if it is empty.

    Only the last component is kept. Control and bidi characters, characters that Windows forbids, and a leading dot or
    hyphen become ``_``. Names of Windows devices get a leading ``_``.
    """
    name = last_component(name)
    name = "".join("_" if not c.isprintable() or c in '<>:"|?*' else c for c in name)
    name = name.strip().encode()[:MAX_LENGTH].decode(errors="ignore").rstrip(". ")
    name = re.sub("^[.-]", "_", name)
    if re.fullmatch(_RESERVED, name, re.IGNORECASE):
        name = "_" + name
    return name if name.strip("._- ") else None


def name_in_disposition(header: str | None) -> str | None:
    """Return the safe file name of a Content-Disposition header (RFC 6266), or None."""
    if not header:
        return None
    with contextlib.suppress(ValueError):
        header = header.encode("latin-1").decode()  # http.client decodes raw UTF-8 as Latin-1
    message = email.message.Message()
    message["Content-Disposition"] = re.sub(r"[\r\n]+", " ", header)
    try:
        found = [value for key, value in message.get_params([], "Content-Disposition") if key.lower() == "filename"]
        found.sort(key=lambda value: isinstance(value, str))  # filename* comes before filename
        return safe_name(redact(email.utils.collapse_rfc2231_value(found[0]))) if found else None
    except (ValueError, TypeError):  # bytes that are not valid in their charset; continuations that email cannot sort
        return None
