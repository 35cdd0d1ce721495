"""What a person sees: the table of builds, bars, JSON. rich is imported only to draw one of the first two."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..documented.functions import DailyBuild
from ..progress import ProgressCallback

if TYPE_CHECKING:
    from rich.progress import Progress

_COLUMNS = ("version", "build", "date", "platform", "release", "status")
_STYLES = {"gold": "yellow", "bad": "red"}


def is_builds(value: Any) -> bool:
    """Whether ``value`` is what ``print_builds`` takes."""
    return isinstance(value, list) and all(isinstance(build, dict) for build in value)


def print_builds(builds: Sequence[DailyBuild]) -> None:
    """The builds as a table, newest first by number: the server sorts them as text."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console() if sys.stdout.isatty() else Console(width=200)  # a pipe has no edge
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in _COLUMNS:
        # On a narrow terminal the platform is broken, and nothing else.
        table.add_column(
            column.title(),
            justify="right" if column == "build" else "left",
            no_wrap=column != "platform",
            overflow="fold",
        )
    for build in sorted(builds, key=_newness, reverse=True):
        cells = [plain(str(build.get(column, ""))) for column in _COLUMNS]
        table.add_row(*(Text(cell, _STYLES.get(cell, "")) for cell in cells))
    with console.capture() as captured:  # rich ends the process where it meets a closed pipe
        console.print(table)
    print(captured.get(), end="")


class Bars:
    """Bars for what is on its way, on stderr, where that is a terminal; they end with the ``with`` block."""

    def __init__(self) -> None:
        self._progress: Progress | None = None

    def __enter__(self) -> Bars:
        return self

    def add(self, title: str) -> ProgressCallback | None:
        """The function that moves a new bar, or None where there is nobody to see it."""
        if not sys.stderr.isatty():
            return None
        if self._progress is None:
            self._progress = _progress()
            self._progress.start()
        return _Bar(self._progress, title)

    def __exit__(self, *exc_info: object) -> None:
        if self._progress is not None:
            self._progress.stop()


class _Bar:
    def __init__(self, progress: Progress, title: str) -> None:
        self._progress = progress
        self._task = progress.add_task(plain(title), total=None, start=False, visible=False)
        self._done: int | None = None

    def __call__(self, done: int, total: int | None) -> None:
        if self._done is None or done < self._done:
            # The clock starts anew: what was there before came in no time. If all was there, nothing moves.
            self._progress.reset(self._task, total=total, completed=done, visible=done != total)
        else:
            self._progress.update(self._task, total=total, completed=done)
        self._done = done


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        console=Console(stderr=True),
    )


def json_text(value: Any, *, ascii_only: bool = False) -> str:
    """``value`` as JSON for people, escaped where it would steer a terminal or stdout could not show it."""
    text = json.dumps(value, indent=2, ensure_ascii=ascii_only)
    text = "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=2)
    return text


def plain(text: str) -> str:
    """``text`` without what would steer a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _newness(build: DailyBuild) -> list[int]:
    numbers = f"{build.get('version')}.{build.get('build')}".split(".")
    return [int(number) if number.isdecimal() else 0 for number in numbers]
