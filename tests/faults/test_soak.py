"""A short soak: 600 calls, uploads and streams from 16 threads, with a fault in every twentieth response."""

from __future__ import annotations

import pytest
from support import soak


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_soak_has_no_wrong_results_leaks_or_double_executions(tls: bool) -> None:
    figures = soak.run(calls=600, threads=16, seed=2, tls=tls)
    assert "wrong results 0; executed twice 0" in figures


def test_soak_detects_double_and_missing_executions() -> None:
    done = soak.Outcome(1, "submit", None)
    cut = soak.Outcome(1, "upload", ("TransportError", True))
    refused = soak.Outcome(1, "submit", ("APIError", 503))
    assert [soak.contradiction(done, n) is None for n in range(3)] == [False, True, False]
    assert [soak.contradiction(cut, n) is None for n in range(3)] == [True, True, False]
    assert [soak.contradiction(refused, n) is None for n in range(3)] == [True, False, False]
