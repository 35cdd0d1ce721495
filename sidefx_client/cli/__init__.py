"""The command line ``sidefx-client``.

``parser`` parses the words and ``items`` the arguments of a call. ``commands`` has the commands, ``display`` prints
results and progress. Errors are explained here.

Exit status: 0, 1 for an error, 2 for wrong usage, 4 for refused credentials, 130 after Ctrl-C, 141 for a closed pipe.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any

from ..errors import APIError, AuthorizationError, CallTimeout, ConfigError, RateLimitError, SideFXError, TransportError
from ..retry import is_read_only
from .display import discard_unwritable, printable, say
from .parser import parse

# TypeError, ArithmeticError and RecursionError: arguments and results are arbitrary JSON.
_ERRORS = (SideFXError, OSError, ValueError, TypeError, ArithmeticError, RecursionError, ImportError, EOFError)
_MAX_LENGTH = 500  # characters: some servers respond with a page of HTML


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command in ``argv``, by default that of the process, and return its exit status."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(_usable(sys.stdout, nowhere)))
        stack.enter_context(contextlib.redirect_stderr(_usable(sys.stderr, nowhere)))
        stack.callback(discard_unwritable)
        return _run(sys.argv[1:] if argv is None else argv)


class _Stream(io.TextIOBase):
    """Adds the methods of a text stream to an object that has only ``write``, as some GUIs set for stdout."""

    def __init__(self, target: Any) -> None:
        self.write = target.write  # type: ignore[method-assign]


def _usable(stream: Any, nowhere: Any) -> Any:
    if stream is None or getattr(stream, "closed", False):  # under pythonw, or in a service
        return nowhere
    return stream if hasattr(stream, "isatty") and hasattr(stream, "flush") else _Stream(stream)


def _run(argv: Sequence[str]) -> int:
    options = parse(argv)
    _show_log(options.verbose)
    try:
        options.run(options)
    except KeyboardInterrupt:
        hint = "; the partial file is kept: run the command again to resume" if options.command == "download" else ""
        say(f"interrupted{hint}")
        return 130
    except BrokenPipeError:  # `| head` has read enough
        return 141
    except _ERRORS as error:
        say(f"error: {format_error(error, options)}")
        return exit_status(error)
    return 0


class _StderrHandler(logging.Handler):
    """A handler that looks up stderr for each record, because a progress bar replaces stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        say(printable(self.format(record)), prefix="")


_HANDLER = _StderrHandler()


def _show_log(verbose: bool) -> None:
    """Show warnings, such as those about retries, or with -v every request."""
    pattern = "%(asctime)s %(levelname)s %(message)s" if verbose else "sidefx-client: warning: %(message)s"
    _HANDLER.setFormatter(logging.Formatter(pattern))
    logger = logging.getLogger("sidefx_client")
    logger.addHandler(_HANDLER)
    logger.setLevel(logging.DEBUG if verbose else logging.WARNING)


def exit_status(error: Exception) -> int:
    """Return 4 if the server refused the credentials, else 1."""
    refused = isinstance(error, AuthorizationError) and error.http_code in (400, 401, 403)
    return 4 if refused or (isinstance(error, APIError) and error.http_code == 401) else 1


def format_error(error: Exception, options: argparse.Namespace) -> str:
    """Return the error and what to do, in one line. With -v the full text is returned, on several lines."""
    lines = [printable(line).rstrip() for line in _text(error).splitlines() if line.strip()]
    if options.verbose:
        text = "\n".join(lines)
    else:
        # The first line says what is wrong and the last one what to do. A traceback ends with the exception.
        text = lines[0] if len(lines) == 1 else f"{lines[0]} … {lines[-1].strip()} (-v shows all of it)"
        text = text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]} … (-v shows all of it)"
    advice = _advice(error, options)
    return f"{text.rstrip('.')}; {advice}" if advice else text


def _text(error: Exception) -> str:
    if isinstance(error, APIError) and error.http_code == 422:
        return error.message
    if isinstance(error, ImportError) and error.name in ("rich", "platformdirs", "argcomplete"):
        return f"{error.name} is not installed: it comes with pip install 'sidefx-client[cli]' (in a clone: '.[cli]')"
    if isinstance(error, OSError) and not isinstance(error, SideFXError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error).strip() or type(error).__name__


def _advice(error: Exception, options: argparse.Namespace) -> str:
    if isinstance(error, RateLimitError):
        return "run the command again later"
    if isinstance(error, ConfigError) and str(error).startswith("No credentials"):
        return "or run: sidefx-client login"
    changes = options.command == "license" or (options.command == "call" and not is_read_only(options.function))
    if isinstance(error, TransportError) and error.may_have_executed and changes:
        return "the server may have executed the call: check before you run it again"
    if isinstance(error, CallTimeout):
        return "--timeout waits longer"
    if isinstance(error, TransportError) and not error.may_have_executed:
        return "check the URL, the network and the proxy"
    return ""
