"""The soak in short: 600 calls, uploads and streams from 16 threads, a fault in every twentieth answer."""

from __future__ import annotations

import pytest
from support import soak


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_soak_loses_nothing_leaks_nothing_and_sends_nothing_twice(tls: bool) -> None:
    figures = soak.run(calls=600, threads=16, seed=2, tls=tls)
    assert "wrong answers 0; executed twice 0" in figures


def test_the_soak_complains_of_what_ran_twice_and_of_what_did_not_run() -> None:
    done = soak.Outcome(1, "submit", None)
    cut = soak.Outcome(1, "upload", ("TransportError", True))
    refused = soak.Outcome(1, "submit", ("APIError", 503))
    assert [soak.complaint(done, n) is None for n in range(3)] == [False, True, False]
    assert [soak.complaint(cut, n) is None for n in range(3)] == [True, True, False]
    assert [soak.complaint(refused, n) is None for n in range(3)] == [True, False, False]
