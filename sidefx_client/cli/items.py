"""The arguments of ``call`` as in HTTPie: ``name=text``, ``name:=json``, ``name@path``, ``text``, ``:=json``."""

from __future__ import annotations

import argparse
import difflib
import json
import os
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from ..documented.functions import parameters
from ..files import File

# A name may have colons, but a colon before a slash belongs to a URL or to a Windows path.
_ITEM = re.compile(r"([^=@:\s](?:(?!:[/\\])[^=@\s])*?)(:=|=|@)(.*)", re.DOTALL)


def item(word: str) -> tuple[str | None, Any]:
    """Return the argument that a word stands for, or raise argparse.ArgumentTypeError."""
    if word.startswith(":="):
        return None, _json("", word[2:])
    match = _ITEM.fullmatch(word)
    if match is None:
        return None, word
    name, kind, rest = match.groups()
    if kind == "=":
        return name, rest
    return name, _json(name, rest) if kind == ":=" else _file(name, rest)


def why_wrong(function: str, items: Sequence[tuple[str | None, Any]]) -> str | None:
    """Return the reason why the items cannot be the arguments of ``function``, or None."""
    known = parameters(function)
    positional = iter(known)
    names = [name for name, _ in items]
    for name, value in items:
        parameter = name or next(positional, "")
        if name and names.count(name) > 1:
            return f"{name} is given twice"
        # Only a very close match is refused, because the server may know more parameters than its pages.
        if name and name not in known and (near := difflib.get_close_matches(name, known, 1, 0.8)):
            return f"{name} is not a parameter of {function}: did you mean {near[0]}?"
        kind = known.get(parameter)
        if isinstance(value, str) and kind in ("bool", "int"):
            default = "true" if kind == "bool" else "1"
            example = value.lower() if re.fullmatch(r"true|false|\d+", value.lower()) else default
            return f"{parameter} is a {kind}, not text: write {name or ''}:={example}"
    return None


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        reason = str(error)
    raise argparse.ArgumentTypeError(f"{name}:={text[:100]} is not JSON ({reason}); text is {name or 'name'}=TEXT")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"JSON has no {constant}")


def _file(name: str, path: str) -> File:
    path = os.path.expanduser(path)  # a shell expands ~ at the start of a word only
    if not os.path.isfile(path):
        raise argparse.ArgumentTypeError(f"{name}@{path}: not a file; write text with an @ as ':=\"{name}@...\"'")
    if name == "json":
        raise argparse.ArgumentTypeError("an upload cannot be named json: the call itself has this name")
    return File(path)
