"""The text of help(), inspect and IPython for the documented functions and their modules, made from the catalogue."""

from __future__ import annotations

import inspect

from .functions import FUNCTIONS, MODULES


def doc(name: str) -> str | None:
    """Return the help for ``"module.function"``, for a ``"module"`` with its functions, or for the API ("").

    Return None for any other name.
    """
    if name in FUNCTIONS:  # with the signature, because help() of an instance does not show one
        return f"{name}{signature(name)}\n\n{inspect.getdoc(FUNCTIONS[name])}"
    if name and name not in MODULES:
        return None
    lines = [str(inspect.getdoc(MODULES[name])) if name else "The documented functions of the SideFX Web API."]
    listed = [known for known in FUNCTIONS if name in ("", known.partition(".")[0])]
    for known in listed:
        summary = str(inspect.getdoc(FUNCTIONS[known])).splitlines()[0]
        lines += ["", f"{known}{signature(known)}", f"    {summary}"]
    example = listed[0] if name else next(iter(MODULES))
    return "\n".join([*lines, "", f"For more, use help(service.{example}), and likewise for the others."])


def signature(name: str) -> inspect.Signature | None:
    """Return the signature of a documented ``"module.function"``, without self, else None."""
    if name not in FUNCTIONS:
        return None
    plain = inspect.signature(FUNCTIONS[name])
    return plain.replace(parameters=list(plain.parameters.values())[1:])
