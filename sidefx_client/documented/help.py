"""The text of help(), inspect and IPython for the documented functions and their modules, made from the catalogue."""

from __future__ import annotations

import inspect
from typing import Any

from .functions import MODULES, functions


class _Annotation(str):
    """An annotation that inspect prints without quotes."""

    __repr__ = str.__str__


def doc(name: str) -> str | None:
    """Return the help for ``"module.function"``, for a ``"module"`` with its functions, or for the API ("").

    Return None for any other name.
    """
    shown = signature(name)
    if shown is not None:  # part of the text, because help() of an instance shows no signature
        return f"{name}{shown}\n\n{inspect.getdoc(_method(name))}"
    if name in MODULES:
        title, modules, example = str(inspect.getdoc(MODULES[name])), [name], f"{name}.{functions(name)[0]}"
    elif name == "":
        title, modules, example = "The documented functions of the SideFX Web API.", list(MODULES), "download"
    else:
        return None
    lines = [title]
    for full_name in (f"{module}.{function}" for module in modules for function in functions(module)):
        summary = str(inspect.getdoc(_method(full_name))).splitlines()[0]
        lines += ["", f"{full_name}{signature(full_name)}", f"    {summary}"]
    return "\n".join([*lines, "", f"For more, use help(service.{example}), and likewise for the others."])


def signature(name: str) -> inspect.Signature | None:
    """Return the signature of a documented ``"module.function"``, without self, else None."""
    module, _, function = name.partition(".")
    if function not in functions(module):
        return None
    plain = inspect.signature(_method(name))
    parameters = [p.replace(annotation=_Annotation(p.annotation)) for p in plain.parameters.values()]
    return plain.replace(parameters=parameters[1:], return_annotation=_Annotation(plain.return_annotation))


def _method(name: str) -> Any:
    module, _, function = name.partition(".")
    return getattr(MODULES[module], function)
