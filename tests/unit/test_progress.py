"""Progress as callers see it."""

from __future__ import annotations

from typing import Any

import pytest

from sidefx_client.progress import INTERVAL, Progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Stop the clock at the number in this list."""
    now = [0.0]
    monkeypatch.setattr("sidefx_client.progress.time.monotonic", lambda: now[0])
    return now


def reports(total: int | None) -> tuple[Progress, list[Any]]:
    seen: list[Any] = []
    return Progress(lambda *step: seen.append(step), total), seen


def test_steps_are_reported_once_per_interval(clock: list[float]) -> None:
    steps, seen = reports(1000)
    for done in range(0, 1000, 10):
        steps.update(done)
        clock[0] += INTERVAL / 10
    assert len(seen) == 10


@pytest.mark.parametrize(
    ("total", "done", "expected"),
    [
        (1000, range(0, 1001, 10), [0, 1000]),  # the first and the last byte
        (1000, (0, 700, 1000, 300, 400), [0, 1000, 300]),  # a step back
        (None, (0, 700), [0, 700]),
    ],
)
def test_ends_and_steps_back_are_reported_at_once(
    clock: list[float], total: int | None, done: Any, expected: list[int]
) -> None:
    steps, seen = reports(total)
    for count in done:
        steps.update(count)
    if total is None:
        steps.update(700, end=True)
        steps.update(700, end=True)
    assert seen == [(count, total) for count in expected]
