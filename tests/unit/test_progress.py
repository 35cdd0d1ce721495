"""Progress as callers see it."""

from __future__ import annotations

from typing import Any

import pytest

from sidefx_client.progress import INTERVAL, Progress


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("sidefx_client.progress.time.monotonic", clock)
    return clock


@pytest.fixture
def seen() -> list[tuple[int, int | None]]:
    return []


def reports(seen: list[Any], total: int | None) -> Progress:
    return Progress(lambda *step: seen.append(step), total)


def test_first_and_last_byte_are_reported(clock: Clock, seen: list[Any]) -> None:
    steps = reports(seen, 1000)
    for done in range(0, 1001, 10):
        steps.update(done)
    assert seen == [(0, 1000), (1000, 1000)]


def test_steps_are_reported_once_per_interval(clock: Clock, seen: list[Any]) -> None:
    steps = reports(seen, 1000)
    for done in range(0, 1000, 10):
        steps.update(done)
        clock.now += INTERVAL / 10
    assert len(seen) == 10


def test_step_back_is_reported_at_once(clock: Clock, seen: list[Any]) -> None:
    steps = reports(seen, 1000)
    for done in (0, 700, 1000, 300, 400):
        steps.update(done)
    assert seen == [(0, 1000), (1000, 1000), (300, 1000)]


def test_end_without_a_total_is_reported_once(clock: Clock, seen: list[Any]) -> None:
    steps = reports(seen, None)
    for done in (0, 700):
        steps.update(done)
    steps.update(700, end=True)
    steps.update(700, end=True)
    assert seen == [(0, None), (700, None)]


def test_exception_of_the_callback_is_raised() -> None:
    def cancel(done: int, total: int | None) -> None:
        raise StopIteration

    with pytest.raises(StopIteration):
        Progress(cancel, 1).update(0)
