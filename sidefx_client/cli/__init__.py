"""The command line ``sidefx-client``: words in, an exit status out.

``parser`` reads the words, ``items`` those of a call, ``commands`` does what they say, ``display`` shows it,
``complaint`` tells what went wrong. The status is 0, 1 for an error, 2 for wrong usage, 130 after Ctrl-C and 141 where
the reader of a pipe went away.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence

from ..errors import SideFXError
from ..log import logger
from .complaint import complaint
from .parser import parse


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command that ``argv`` (else that of the process) names, and returns its exit status."""
    options = parse(sys.argv[1:] if argv is None else argv)
    _show_log(options.verbose)
    try:
        options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        kept = "; what came is kept: run it again to resume" if options.command == "download" else ""
        _say(f"interrupted{kept}")
        return 130
    except BrokenPipeError:
        # `| head` has read enough. What is still in the buffer must not fail when Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (SideFXError, OSError, ValueError, ImportError) as error:
        _say(f"error: {complaint(error, options)}")
        return 1
    return 0


def _say(text: str) -> None:
    print(f"sidefx-client: {text}", file=sys.stderr)


class _Log(logging.Handler):
    """Writes to stderr as it is now: while there is a bar, above the bar."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr)


def _show_log(verbose: bool) -> None:
    """With -v all that is logged; else the warnings, where a person may wonder why nothing moves."""
    if not verbose and not sys.stderr.isatty():
        return
    handler = _Log()
    pattern = "%(asctime)s %(levelname)s %(message)s" if verbose else "sidefx-client: warning: %(message)s"
    handler.setFormatter(logging.Formatter(pattern))
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if verbose else logging.WARNING)
