"""The MD5 of a download: of all the blocks since the last restart, on a thread that ends with it."""

from __future__ import annotations

import threading

from support.downloads import md5

from sidefx_client.downloads.hashing import Hasher

BIG = bytes(64 << 20)  # takes its thread a while


def test_a_restart_forgets_the_blocks_that_are_still_waiting() -> None:
    with Hasher(wanted=True) as hasher:
        for _ in range(2):
            hasher.update(BIG)
        hasher.restart()
        hasher.update(b"new")
        assert hasher.hexdigest() == md5(b"new")


def test_its_thread_ends_with_it() -> None:
    with Hasher(wanted=True) as hasher:
        hasher.update(BIG)
    assert not [thread for thread in threading.enumerate() if thread.name == "sidefx_client MD5"]
