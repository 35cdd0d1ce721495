"""Everything that the commands print. Results alone go to stdout; messages and progress go to stderr.

rich is imported only for a table, and for progress on a terminal.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

from ..atomic import AtomicFile
from ..downloads import version_key
from ..errors import ConfigError, clean
from ..files import ResponseFile
from ..progress import ProgressCallback
from ..transport.connection import BLOCK

if TYPE_CHECKING:
    from rich.progress import Progress

INTERVAL = 5.0  # seconds between two lines of progress in a log

_COLUMNS = ("version", "build", "date", "platform", "release", "status")
_STYLES = {"gold": "yellow", "bad": "red"}
_UNWRITABLE = (OSError, ValueError, AttributeError)  # closed, or without a method
_STRING_OR_CONSTANT = re.compile(r'"(?:[^"\\]|\\.)*"|-?Infinity|NaN')
_VALID_JSON = {"Infinity": "1e999", "-Infinity": "-1e999", "NaN": "null"}


def printable(text: str) -> str:
    """Return ``text`` in one line, without secrets and control characters."""
    return clean(text, one_line=True)


def write(text: str, stream: Any) -> None:
    """Write and flush ``text``. Escape it if the stream cannot encode it."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        text.encode(encoding, getattr(stream, "errors", None) or "strict")
    except UnicodeError:
        text = text.encode(encoding, "backslashreplace").decode(encoding)
    stream.write(text)
    stream.flush()


def say(text: str, prefix: str = "sidefx-client: ", end: str = "\n") -> None:
    """Write a message to stderr. A message that cannot be written does not stop the command."""
    with contextlib.suppress(*_UNWRITABLE):
        write(prefix + text + end, sys.stderr)


def print_text(text: str, *, only_copy: bool = False) -> None:
    """Write to stdout. The ``only_copy`` of a result goes to stderr if stdout is closed or cannot be written."""
    if only_copy and getattr(sys.stdout, "name", None) == os.devnull:  # opened by main() in place of a closed stdout
        say(text, prefix="")
    try:
        write(text + "\n", sys.stdout)
    except _UNWRITABLE:
        if only_copy:
            say(text, prefix="")
        raise


def print_result(result: Any, *, only_copy: bool = False) -> None:
    """Write the result of a call to stdout: JSON, or the bytes of a stream."""
    if not isinstance(result, ResponseFile):
        print_text(json_text(result), only_copy=only_copy)
        return
    with result:
        if sys.stdout.isatty() or not hasattr(sys.stdout, "buffer"):
            name = f" {printable(result.name)}" if result.name else ""
            raise ConfigError(f"the result is a file{name}, not text: write it with -o FILE, or to a pipe")
        shutil.copyfileobj(result, sys.stdout.buffer, BLOCK)
        sys.stdout.buffer.flush()


def save_result(result: Any, target: Path, progress: ProgressCallback | None) -> None:
    """Write the result of a call to a file, which appears only when it is complete."""
    if isinstance(result, ResponseFile):
        result.save(target, progress=progress)
        return
    try:
        with AtomicFile(target) as file:
            file.write(json_text(result).encode() + b"\n")
            file.commit()
    except OSError:
        print_result(result, only_copy=True)  # some calls cannot be made again
        raise


def json_text(value: Any) -> str:
    """Return ``value`` as JSON. Escape all that could control a terminal or that stdout cannot encode."""
    try:
        text = json.dumps(value, indent=2, ensure_ascii=False)
    except RecursionError:  # the encoder without indent has a higher limit
        text = json.dumps(value)
    text = _STRING_OR_CONSTANT.sub(lambda match: _VALID_JSON.get(match[0], match[0]), text)
    text = "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeError:
        text = "".join(c if c.isascii() else json.dumps(c)[1:-1] for c in text)
    return text


def discard_unwritable() -> None:
    """Flush stdout, or discard its buffer if that fails: Python's own flush at exit would print a traceback."""
    try:
        sys.stdout.flush()
    except _UNWRITABLE:
        with contextlib.suppress(*_UNWRITABLE):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def build_cells(build: Mapping[str, Any]) -> list[str]:
    """Return the columns of a build for people; "-" stands for a value that it lacks."""
    return [printable(str(build.get(column) or "-")) for column in _COLUMNS]


def print_builds(builds: Sequence[Mapping[str, Any]]) -> None:
    """Print the builds as a table, newest first."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console() if sys.stdout.isatty() else Console(width=200)  # a pipe has no width
    if console.legacy_windows:  # a Windows console without VT mode shows escape codes as text
        console = Console(color_system=None)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in _COLUMNS:
        # On a narrow terminal only the platform is broken into lines.
        justify: Any = "right" if column == "build" else "left"
        table.add_column(column.title(), justify=justify, no_wrap=column != "platform", overflow="fold")
    for build in sorted(builds, key=version_key, reverse=True):
        table.add_row(*(Text(cell, _STYLES.get(cell, "")) for cell in build_cells(build)))
    with console.capture() as captured:  # rich itself ends the process when a pipe is closed
        console.print(table)
    write(captured.get(), sys.stdout)
    if not builds:
        say("there are no such builds")


class Transfers(contextlib.AbstractContextManager):  # type: ignore[type-arg]
    """The progress of uploads and downloads on stderr: bars on a terminal, else a line every few seconds.

    ``already_there`` is True if the first report of the last transfer said that all bytes exist.
    """

    def __init__(self) -> None:
        self._bars: Progress | None = None
        self.already_there = False

    def __exit__(self, *exc_info: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def add(self, title: str) -> ProgressCallback:
        """Return the progress callback of a new transfer."""
        show = self._add_bar(title) if sys.stderr.isatty() else _add_lines(title)
        done_before: int | None = None

        def progress(done: int, total: int | None) -> None:
            nonlocal done_before
            if done_before is None:
                self.already_there = done == total
            # Restart the clock when a transfer starts or goes back: resumed bytes do not count toward the speed.
            show(done, total, done_before is None or done < done_before)
            done_before = done

        return progress

    def _add_bar(self, title: str) -> Callable[[int, int | None, bool], None]:
        self._bars = bars = self._bars or _start_bars()
        task = bars.add_task(printable(title), total=None, start=False, visible=False)

        def show(done: int, total: int | None, restart: bool) -> None:
            if restart:
                bars.reset(task, total=total, completed=done, visible=done != total)
            else:
                bars.update(task, total=total, completed=done)

        return show


def _add_lines(title: str) -> Callable[[int, int | None, bool], None]:
    """Return a function that reports progress as lines for a log."""
    due = 0.0

    def show(done: int, total: int | None, restart: bool) -> None:
        nonlocal due
        now = time.monotonic()
        if restart or now >= due:
            due = now + INTERVAL
            if not restart:
                of_total = f" of {total / 1e6:.1f}" if total else ""
                say(f"{printable(title)}: {done / 1e6:.1f}{of_total} MB")

    return show


def _start_bars() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    remaining = TimeRemainingColumn(compact=True, elapsed_when_finished=True)
    bars = Progress(*columns, remaining, console=Console(stderr=True))
    bars.start()
    return bars
