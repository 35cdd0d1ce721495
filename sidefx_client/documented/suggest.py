"""Suggestions for mistyped names."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, Callable, TypeVar, cast

_Function = TypeVar("_Function", bound=Callable[..., Any])


def near_match(word: str, known: Iterable[str], cutoff: float = 0.7) -> str | None:
    """Return the word in ``known`` that is most like ``word``, or None."""
    from difflib import get_close_matches  # slow to import, and only needed for the text of an error

    return next(iter(get_close_matches(word, list(known), 1, cutoff)), None)


def explains_arguments(**hints: str) -> Callable[[_Function], _Function]:
    """Decorate a function so that its TypeError for an unknown or missing argument says what to write.

    ``hints`` maps unknown parameters to the likely ones; its ``missing`` is the text for too few arguments.
    """

    def decorate(function: _Function) -> _Function:
        code, defaults = function.__code__, function.__defaults__ or ()
        known = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        required = code.co_argcount - len(defaults)

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            unknown = next((name for name in kwargs if name not in known), None)
            given: list[Any] = [args, kwargs]
            is_complete = len(args) + len(kwargs) >= required
            del args, kwargs  # frames that raise must not hold secrets
            if unknown is None and (is_complete or "missing" not in hints):
                return function(*given.pop(0), **given.pop(0))  # popped, so that this frame does not hold them
            given.clear()
            near = hints.get(unknown) or near_match(unknown, known) if unknown else None
            text = f"unknown parameter {unknown!r}" if unknown else hints["missing"]
            raise TypeError(text + (f": did you mean {near}?" if near else ""))

        return cast("_Function", wrapper)

    return decorate
