"""Property of downloads: any sequence of faults, cancels and restarts ends in the right file or an error.

The right file has the known MD5, or is a complete version that the server had at this URL. Undetectable faults are not
tried. Without an MD5 these are other bytes with the same ETag, a page with status 200, and changes to the partial file.
A truncated body without Content-Length is another. Without a size the first response may have a wrong length.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from support.downloads import md5
from support.scripted import Connection, Request, ScriptedServer, http_response
from support.stage import examples

import sidefx_client as sidefx
from sidefx_client.downloads import workers

SIZE = 10_000
PIECE = 1000  # bytes of a range, for several connections
OLD = b"an older file"
HARMLESS = ("whole", "cut", "dropped", "busy", "range ignored", "redirected", "not found", "gone", "416")
LIES = ("other start", "no Content-Range", "If-Range ignored", "other ETag", "416 of another size")
OF_LENGTH = ("other total", "too much", "too little")
OF_CONTENT = ("other bytes", "a page", "cut without a length")
PLAYS = st.tuples(st.sampled_from(HARMLESS + LIES + OF_LENGTH + OF_CONTENT), st.integers(0, SIZE))


RESPONSES = {
    "busy": http_response(503, b"busy", {"Retry-After": "0"}),
    "not found": http_response(404, b"no such file"),
    "gone": http_response(403, b"expired"),
    "416": http_response(416, b"", {"Content-Range": f"bytes */{SIZE}"}),
    "416 of another size": http_response(416, b"", {"Content-Range": f"bytes */{SIZE // 2}"}),
    "redirected": http_response(302, b"", {"Location": "/redirected"}),
    "a page": http_response(200, b"<html>", {"Content-Type": "text/html", "ETag": '"page"'}),
}


class Cancel(Exception):
    """Raised by a progress function."""


class Host:
    """A step that serves the current version of the file, and plays faults for the next requests."""

    def __init__(self, headers: str, known: str, connections: int) -> None:
        self.version = 1
        self.plays: Iterator[tuple[str, int]] = iter(())
        self.last = "whole"
        self._headers = headers
        self._known = known
        self._connections = connections

    @property
    def content(self) -> bytes:
        return random.Random(self.version).randbytes(SIZE)

    def step(self, connection: Connection, request: Request) -> None:
        play, place = next(self.plays, (self.last, 0))
        if play in OF_CONTENT and "md5" not in self._known:
            play = "whole"
        if play == "redirected" and request.path.endswith(play):
            play = "whole"
        if play == "dropped":
            connection.close()
        elif play in RESPONSES:
            connection.send(RESPONSES[play])
        else:
            self._file(connection, request, play, place)

    def _file(self, connection: Connection, request: Request, play: str, place: int) -> None:
        start, end = _range(request)
        states = {
            "ETag": f'"{self.version}"',
            "Last-Modified": f"Sun, 06 Nov 1994 08:49:{self.version % 60:02} GMT",
            "": "",
        }
        state = f'"{place}"' if play == "other ETag" and self._headers == "ETag" else states[self._headers]
        headers = {self._headers: state} if state else {}
        wanted = request.header("Range")
        if play != "If-Range ignored" and request.header("If-Range") not in (None, state):
            wanted = None
        status = 206 if wanted and play != "range ignored" else 200
        if status == 200:
            start, end = 0, SIZE
        if start >= end:
            connection.send(RESPONSES["416"])
            return
        if play in OF_LENGTH and not self._known and (self._connections > 1 or status == 200):
            play = "whole"
        if play == "other start" and status == 206:
            start = min(place, end - 1)
        body = self.content[start:end] if play != "other bytes" else random.Random(place).randbytes(end - start)
        total = place if play == "other total" else SIZE
        if status == 206 and play != "no Content-Range":
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{total}"
        length = {"too much": len(body) + 7, "too little": min(len(body), place)}.get(play, len(body))
        if play == "too much":
            body += b"surplus"
        if play != "cut without a length":
            headers["Content-Length"] = str(length)
        stop = min(place, len(body)) if play.startswith("cut") else length
        connection.send(http_response(status, body[:stop], headers, framed=False))
        if play.startswith("cut"):
            connection.finish()


def _range(request: Request) -> tuple[int, int]:
    first, _, last = (request.header("Range") or "bytes=0-").partition("=")[2].partition("-")
    return int(first), min(SIZE, int(last) + 1) if last else SIZE


class Downloads(RuleBasedStateMachine):
    @initialize(
        known=st.sampled_from(("md5", "md5 and size", "size", "")),
        headers=st.sampled_from(("ETag", "Last-Modified", "")),
        old=st.booleans(),
        connections=st.sampled_from((1, 1, 3)),
    )
    def begin(self, known: str, headers: str, old: bool, connections: int) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.target = self.folder / "file.bin"
        if old:
            self.target.write_bytes(OLD)
        self.there = OLD if old else None
        self.with_md5 = known.startswith("md5")
        self.host = Host(headers, known, connections)
        self.server = ScriptedServer(self.host.step)
        self.options: dict[str, Any] = {"connections": connections}
        if self.with_md5:
            self.options["md5"] = md5(self.host.content)
        if known.endswith("size"):
            self.options["size"] = SIZE

    @rule(plays=st.lists(PLAYS, max_size=6), last=st.sampled_from(("whole", "dropped", "busy", "cut without a length")))
    def run_to_the_end(self, plays: list[tuple[str, int]], last: str) -> None:
        self.play(plays, last)

    @rule(plays=st.lists(PLAYS, max_size=3), at=st.integers(0, SIZE))
    def run_and_cancel(self, plays: list[tuple[str, int]], at: int) -> None:
        def progress(done: int, total: int | None) -> None:
            if done >= at:
                raise Cancel

        self.play(plays, "whole", progress=progress)

    @rule()
    def change_the_file(self) -> None:
        self.host.version += 1

    @rule(
        keep=st.integers(0, SIZE),
        note=st.none() | st.binary(max_size=20) | st.sampled_from((b"", b"{}", b"[" * 100_000)),
    )
    def damage_the_partial_file(self, keep: int, note: bytes | None) -> None:
        for path in self.folder.glob("file.bin.*"):
            if path.suffix == ".json" and note is not None:
                path.write_bytes(note)
            elif path.suffix == ".part":
                with path.open("r+b") as file:
                    file.truncate(min(keep, path.stat().st_size))
                    if self.with_md5 and keep:
                        file.write(b"garbage"[: path.stat().st_size])

    @invariant()
    def the_target_is_right_or_unchanged(self) -> None:
        if hasattr(self, "target"):
            there = self.target.read_bytes() if self.target.exists() else None
            assert there == self.there
            names = [path.name for path in self.folder.iterdir() if path != self.target]
            assert len(names) <= 2, names
            assert all(name.endswith((".part", ".part.json")) for name in names)

    def play(self, plays: list[tuple[str, int]], last: str, **options: Any) -> None:
        self.host.plays, self.host.last = iter(plays), last
        with contextlib.suppress(Cancel, sidefx.DownloadError, sidefx.TransportError):
            sidefx.download_file(f"{self.server.url}/file", self.target, **self.options, **options)
            self.there = self.target.read_bytes()
            versions = [random.Random(version).randbytes(SIZE) for version in range(1, self.host.version + 1)]
            assert self.there == versions[0] if self.with_md5 else self.there in versions

    def teardown(self) -> None:
        if hasattr(self, "target"):
            try:
                self._end_well()
            finally:
                self.server.__exit__(None, None, None)
                shutil.rmtree(self.folder)

    def _end_well(self) -> None:
        """Check that a correct server completes the file in two runs, and that it is the only file left."""
        if self.with_md5:
            self.host.version = 1
        for _ in range(2):
            self.play([], "whole")
        assert self.there == self.host.content
        assert list(self.folder.iterdir()) == [self.target]


@pytest.fixture
def in_no_time(hasty: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "BACKOFF", 0.0)
    monkeypatch.setattr(workers, "_MIN_PIECE", PIECE)


@pytest.mark.usefixtures("in_no_time", "uncollected")
def test_any_sequence_of_faults_ends_in_the_right_file_or_an_error() -> None:
    run_state_machine_as_test(Downloads, settings=settings(examples(40), stateful_step_count=6))


@pytest.mark.usefixtures("in_no_time")
@pytest.mark.parametrize("play", HARMLESS + LIES + OF_LENGTH + OF_CONTENT)
def test_any_fault_after_a_resume_ends_in_the_right_file_or_an_error(play: str) -> None:
    """Check each fault early in a second run, with one and three connections, with and without a changed file."""
    for known, change, before in itertools.product(("md5", "size", ""), (0, 1), (0, 2)):
        downloads = Downloads()
        downloads.begin(known, "ETag", True, 1 + before)
        downloads.play([("cut", 3000)], "dropped")
        downloads.host.version += change
        downloads.play([("whole", 0)] * before + [(play, 6000)], "whole")
        downloads.teardown()
