"""The arguments of a call as words, as in HTTPie: ``name=text``, ``name:=json``, ``name@path``, ``text``."""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, NoReturn

from ..files import File

_ITEM = re.compile(r"([^=@:\s]+)(:=|=|@)(.*)", re.DOTALL)
_TEXT = "\0"  # what no word of a command line can hold marks a text that stands behind --arg


class Item(NamedTuple):
    """One argument; without a name it is positional."""

    name: str | None
    value: Any


def in_place(words: Iterable[str]) -> Iterator[str]:
    """The words, with ``--arg TEXT`` made one of them: argparse forgets where an option stood."""
    words = iter(words)
    for word in words:
        option, equals, text = word.partition("=")
        if option != "--arg":
            yield word
        elif equals:
            yield _TEXT + text
        else:
            following = next(words, None)
            yield word if following is None else _TEXT + following  # argparse says what is missing


def item(word: str) -> Item:
    """The argument that a word stands for; what cannot be one is an argparse.ArgumentTypeError."""
    if word.startswith(_TEXT):
        return Item(None, word[len(_TEXT) :])
    match = _ITEM.fullmatch(word)
    if match is None:
        return Item(None, word)
    name, kind, rest = match.groups()
    if kind == "=":
        return Item(name, rest)
    return Item(name, _json(name, rest) if kind == ":=" else _file(name, rest))


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        reason = str(error)
    raise argparse.ArgumentTypeError(f"{name}:={text} is not JSON ({reason}); text is {name}=TEXT")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"JSON has no {constant}")


def _file(name: str, path: str) -> File:
    path = os.path.expanduser(path)  # which a shell does at the start of a word only
    if not os.path.isfile(path):
        raise argparse.ArgumentTypeError(f"{name}@{path}: there is no such file; a text with an @ goes behind --arg")
    if name == "json":
        raise argparse.ArgumentTypeError("an upload cannot be named json, which is the name of the call itself")
    return File(path)
