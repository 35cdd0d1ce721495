"""What help(), inspect and IPython show of the documented functions and of their modules, from the catalogue."""

from __future__ import annotations

import inspect
from typing import Any

from .functions import MODULES, functions


class _Annotation(str):
    """An annotation that inspect prints without quotes."""

    __repr__ = str.__str__


def doc(name: str) -> str | None:
    """The help for ``"module.function"``, or for a ``"module"`` and all that it has; None where there is none."""
    shown = signature(name)
    if shown is not None:  # it stands in the text too: help() of an instance shows no other
        return f"{name}{shown}\n\n{inspect.getdoc(_method(name))}"
    if name not in MODULES:
        return None
    lines = [str(inspect.getdoc(MODULES[name]))]
    for function in functions(name):
        full_name = f"{name}.{function}"
        summary = str(inspect.getdoc(_method(full_name))).splitlines()[0]
        lines += ["", f"{full_name}{signature(full_name)}", f"    {summary}"]
    return "\n".join([*lines, "", f"help(service.{name}.{functions(name)[0]}) says more, and likewise for the others."])


def signature(name: str) -> inspect.Signature | None:
    """The signature of a documented ``"module.function"``, without self; else None."""
    module, _, function = name.partition(".")
    if function not in functions(module):
        return None
    plain = inspect.signature(_method(name))
    parameters = [p.replace(annotation=_Annotation(p.annotation)) for p in plain.parameters.values()]
    return plain.replace(parameters=parameters[1:], return_annotation=_Annotation(plain.return_annotation))


def _method(name: str) -> Any:
    module, _, function = name.partition(".")
    return getattr(MODULES[module], function)
