"""A call as the API spells it: what goes out for a function and its arguments, and the value that comes back.

The form is that of https://www.sidefx.com/docs/api/: a form field ``json=["module.function", [positional],
{keyword}]``, uploads beside it as parts named after their keywords, and JSON or an octet-stream back.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import requests

from .api_errors import api_error
from .errors import APIError
from .files import File, ResponseFile
from .transport.connection import BLOCK
from .transport.multipart import BytesSource, MultipartBody, Source
from .transport.response import Body, charset

JSON_LIMIT = 256 * 1024 * 1024  # bytes of an answer that are held in memory
_SHOWN = 200  # characters of an answer that is not JSON
_UPLOADS = (File, bytes, bytearray, memoryview)


class Encoded:
    """A call ready to be sent: ``body`` (bytes, or a file-like object), ``content_type`` and ``length`` in bytes.

    Raises TypeError or ValueError, naming the place, for arguments that JSON cannot hold and for files in the wrong
    place, and OSError for a file that cannot be read. Used with ``with``, which closes the files that it opened.
    """

    def __init__(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        uploads = {key: value for key, value in kwargs.items() if isinstance(value, _UPLOADS)}
        if "json" in uploads:
            raise TypeError("kwargs['json']: an upload cannot be named 'json', which is the name of the call itself")
        plain = {key: value for key, value in kwargs.items() if key not in uploads}
        text = _json_text([name, list(args), plain])
        self.body: bytes | MultipartBody
        if uploads:
            self.body = _multipart(text, uploads)
            self.content_type = self.body.content_type
        else:
            self.body = urlencode({"json": text}).encode()
            self.content_type = "application/x-www-form-urlencoded"
        self.length = len(self.body)

    def rewind(self) -> bool:
        """Ready to be sent once more, byte for byte; False where that cannot be."""
        return isinstance(self.body, bytes) or self.body.rewind()

    def __enter__(self) -> Encoded:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if isinstance(self.body, MultipartBody):
            self.body.close()


def decode(response: requests.Response) -> Any:
    """The value of an answer: whatever JSON says, None for an empty one, a ResponseFile for an octet-stream.

    Raises APIError or RateLimitError for any status but 2xx and for what is not JSON, TransportError for a cut body.
    """
    if not 200 <= response.status_code < 300:
        raise api_error(response)
    media = response.headers.get("Content-Type", "").split(";")[0].strip().lower()
    if media == "application/octet-stream" and response.status_code != 204:
        return ResponseFile(response)
    data = _read(response)
    if not data:
        return None
    try:
        return json.loads(data.decode(charset(response)))
    except (ValueError, RecursionError):  # also a text that is not in its charset
        shown = " ".join(data[: 4 * _SHOWN].decode("utf-8", "replace").split())[:_SHOWN]
    raise APIError(response.status_code, f"expected JSON, got {media or 'something else'}: {shown}")


def _multipart(text: str, uploads: Mapping[str, Any]) -> MultipartBody:
    fields: list[tuple[str, str | None, Source]] = [("json", None, BytesSource(text.encode()))]
    try:
        for key, value in uploads.items():
            if isinstance(value, File):
                fields.append((key, value.name_on_wire, value.source()))
            else:
                fields.append((key, "unnamed.bin", BytesSource(value)))
        return MultipartBody(fields)
    except BaseException:
        for _, _, source in fields:
            source.close()
        raise


def _json_text(call: list[Any]) -> str:
    try:
        return json.dumps(call, allow_nan=False)
    except RecursionError:
        reason = "they are nested too deeply"
    except (TypeError, ValueError) as error:
        reason = str(error)
    with contextlib.suppress(RecursionError):  # json names the type and not the place: look for it
        _find_culprit(call[1], "args", ())
        _find_culprit(call[2], "kwargs", ())
    raise ValueError(f"JSON cannot hold the arguments: {reason}")


def _find_culprit(value: Any, place: str, inside: tuple[int, ...]) -> None:
    """Raises the TypeError or ValueError for the first thing in ``value`` that JSON cannot hold."""
    if isinstance(value, _UPLOADS):
        raise TypeError(f"{place}: {type(value).__name__} cannot go there: pass it as a keyword argument of its own")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{place}: JSON has no {value}")
    if value is None or isinstance(value, (str, int, float)):
        return
    if not isinstance(value, (list, tuple, dict)):
        hint = "; to upload a file pass File(...)" if hasattr(value, "read") or isinstance(value, os.PathLike) else ""
        raise TypeError(f"{place}: JSON cannot hold a {type(value).__name__}{hint}")
    if id(value) in inside:
        raise ValueError(f"{place}: contains itself")
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if not isinstance(key, (str, int, float, bool, type(None))):
            raise TypeError(f"{place}: JSON cannot have a {type(key).__name__} as a key")
        if isinstance(key, float) and not math.isfinite(key):
            raise ValueError(f"{place}: JSON has no {key}, not even as a key")
        _find_culprit(item, f"{place}[{key!r}]", (*inside, id(value)))


def _read(response: requests.Response) -> bytes:
    with io.BytesIO() as data:  # which shows nothing of what came before an error: a token, perhaps, or a signed URL
        with Body(response) as body:
            while data.tell() <= JSON_LIMIT and data.write(body.read(BLOCK)):
                pass
        if data.tell() > JSON_LIMIT:
            raise APIError(response.status_code, f"the answer has more than {JSON_LIMIT >> 20} MiB of JSON")
        return data.getvalue()
