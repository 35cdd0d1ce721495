"""An error as one line that says what to do."""

from __future__ import annotations

import argparse

from ..documented.functions import read_only
from ..errors import APIError, CallTimeout, RateLimitError, SideFXError, TransportError
from .display import plain

_LONGEST = 500  # characters: some servers answer with a page of HTML


def complaint(error: Exception, options: argparse.Namespace) -> str:
    """What went wrong, and what to do; with -v in full, and on as many lines as it takes."""
    text = _text(error)
    lines = [plain(line).strip() for line in text.splitlines() if line.strip()]
    if options.verbose:
        text = "\n".join(plain(line) for line in text.splitlines())
    else:
        # The first line says what it is, the last one what to do; in a traceback, what was raised.
        text = lines[0] if len(lines) == 1 else f"{lines[0]} … {lines[-1]} (-v shows all of it)"
        text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]} … (-v shows all of it)"
    advice = _advice(error, options)
    return f"{text.rstrip('.')}; {advice}" if advice else text


def _text(error: Exception) -> str:
    if isinstance(error, APIError):
        return error.message if error.http_code == 422 else str(error)
    if isinstance(error, ImportError) and error.name in ("rich", "platformdirs"):
        return f"{error.name} is not installed: it comes with pip install 'sidefx-client[cli]' (in a clone: '.[cli]')"
    if isinstance(error, OSError) and not isinstance(error, SideFXError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__


def _advice(error: Exception, options: argparse.Namespace) -> str:
    if isinstance(error, RateLimitError):
        return f"wait {error.retry_after or 60:.0f} s, then run it again"
    if isinstance(error, APIError) and "EULA not accepted" in error.message:
        return "log in and accept it at https://www.sidefx.com/services/eula/"
    changes = options.command == "license" or (options.command == "call" and not read_only(options.function))
    if isinstance(error, TransportError) and error.may_have_executed and changes:
        return "it may have been carried out: look before you run it again"
    if isinstance(error, CallTimeout):
        return "--timeout gives it longer"
    if isinstance(error, TransportError) and not error.may_have_executed:
        return "check the URL, the network and the proxy"
    return ""
