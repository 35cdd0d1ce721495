"""Tests of Progress. For restarts of an upload see U2, for slow connections D14."""

from __future__ import annotations

from typing import Any

import pytest

from sidefx_client.progress import INTERVAL, Progress


def test_progress_is_reported_once_per_interval_and_at_once_for_ends_and_steps_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, seen = [0.0], list[Any]()
    monkeypatch.setattr("sidefx_client.progress.time.monotonic", lambda: now[0])
    progress = Progress(lambda *step: seen.append(step), 1000)
    for done in range(0, 1000, 10):
        progress.update(done)
        now[0] += INTERVAL / 10
    assert len(seen) == 10
    now[0] += INTERVAL
    for done in (995, 996, 1000, 300, 400):
        progress.update(done)
    assert seen[10:] == [(995, 1000), (1000, 1000), (300, 1000)]


def test_end_of_an_unknown_total_is_reported_once() -> None:
    seen: list[Any] = []
    progress = Progress(lambda *step: seen.append(step), None)
    for done, end in ((0, False), (700, False), (700, True), (700, True)):
        progress.update(done, end=end)
    assert seen == [(0, None), (700, None)]
