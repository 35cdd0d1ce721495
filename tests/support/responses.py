"""`requests.Response` objects made without a socket, from the samples on disk or from bytes."""

from __future__ import annotations

import http.client
import io
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import requests
import urllib3
from requests.adapters import HTTPAdapter

SAMPLES = Path(__file__).parents[1] / "samples"
URL = "https://www.sidefx.com/api/"


def sample(name: str, newline: str = "\n") -> requests.Response:
    """Return the response in a file of samples/, with ``newline`` as line ending of its body."""
    head, _, body = (SAMPLES / name).read_text(encoding="utf-8").partition("\n\n")
    content = body.replace("\n", newline).encode()
    lines = [*head.split("\n"), f"Content-Length: {len(content)}", "", ""]
    return received("\r\n".join(lines).encode() + content)


def received(data: bytes) -> requests.Response:
    """Return the response that a client gets if the server sends ``data`` and closes."""
    parsed: Any = http.client.HTTPResponse(Mock(makefile=lambda mode: io.BytesIO(data)))
    parsed.begin()
    head = {"headers": parsed.msg.items(), "status": parsed.status, "reason": parsed.reason}
    raw = urllib3.HTTPResponse(parsed, preload_content=False, original_response=parsed, **head)
    return HTTPAdapter().build_response(requests.Request("POST", URL).prepare(), raw)
