"""Hints for arguments that people mistake: the TypeError names the right ones."""

from __future__ import annotations

import functools
from typing import Any, Callable, TypeVar, cast

_Function = TypeVar("_Function", bound=Callable[..., Any])


def explains_arguments(least: int = 0, missing: str = "", **hints: str) -> Callable[[_Function], _Function]:
    """Decorate a function so that its TypeError for a likely mistake says what to write.

    ``hints`` maps unknown parameters to the right ones; ``missing`` is the text for fewer than ``least`` arguments.
    """

    def decorate(function: _Function) -> _Function:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            mistakes = [f"unknown parameter {name!r}: did you mean {hints[name]}?" for name in kwargs if name in hints]
            if len(args) + len(kwargs) < least:
                mistakes.append(missing)
            given: list[Any] = [args, kwargs]
            del args, kwargs  # frames that raise must not hold secrets
            if not mistakes:
                return function(*given.pop(0), **given.pop(0))  # popped, so that this frame does not hold them
            given.clear()
            raise TypeError(mistakes[0])

        return cast("_Function", wrapper)

    return decorate
