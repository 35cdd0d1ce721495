"""The head of an answer, read so that nothing passes for one that is not.

http.client lets three things pass: a head that was cut is an answer with fewer headers (and without a Content-Length an
empty one), a line that is no header ends the head and hides all headers behind it, and 103 (Early Hints) is the answer,
so that the real one becomes that of the next call.
"""

from __future__ import annotations

import http.client
import io
from typing import Any

from urllib3.exceptions import HeaderParsingError
from urllib3.util.response import assert_header_parsing


class StrictResponse(http.client.HTTPResponse):
    """An answer whose head came whole; else an HTTPException."""

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = _Lines(self.fp.detach())

    def begin(self) -> None:
        lines: Any = self.fp
        while True:
            lines.in_head = True
            self.headers = None  # type: ignore[assignment]
            super().begin()
            lines.in_head = False
            if not 102 <= self.status < 200:  # http.client itself reads past 100
                break
        if self._is_garbled():
            raise http.client.HTTPException("the head of the answer is garbled")

    def _is_garbled(self) -> bool:
        try:
            assert_header_parsing(self.headers)
        except HeaderParsingError:
            return True
        # A coding that nothing below us undoes.
        return "Transfer-Encoding" in self.headers and not self.chunked


class _Lines(io.BufferedReader):
    in_head = False

    def readline(self, limit: int | None = -1) -> bytes:
        line = super().readline(limit)
        cut = not line.endswith(b"\n") and len(line) != limit
        if cut and (line or self.in_head):  # some servers leave out the empty line behind the last chunk
            raise http.client.RemoteDisconnected("the connection was closed in the middle of a line")
        if self.in_head and b"\r" in line.replace(b"\r\n", b""):  # at which headers would be read as one, or as none
            raise http.client.HTTPException("the head of the answer is garbled")
        return line
