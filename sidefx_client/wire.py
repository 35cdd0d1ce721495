"""The encoding of a call as a request, and the decoding of its response.

As https://www.sidefx.com/docs/api/ describes, a request has the form field ``json=["module.function", [positional],
{keyword}]``. Uploads are further parts, named after their keywords. The response is JSON or an octet-stream.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import requests

from .error_body import api_error
from .errors import APIError, clean
from .files import File, ResponseFile
from .transport.connection import BLOCK
from .transport.multipart import BytesSource, MultipartBody, Source
from .transport.response import ResponseBody, charset

MAX_JSON = 256 * 1024 * 1024  # bytes of a response that are held in memory
EXCERPT_LENGTH = 200  # characters of a response that is not JSON
_SURROGATE = re.compile("[\ud800-\udfff]")
_UPLOADS = (File, bytes, bytearray, memoryview)


class EncodedCall:
    """A call ready to be sent: ``body`` (bytes, or a file-like object), ``content_type`` and ``length`` in bytes.

    Raises TypeError or ValueError that names the place of an argument that JSON cannot hold or of a misplaced file, and
    OSError for a file that cannot be read. Used with ``with``, which closes the files that it opened.
    """

    def __init__(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        uploads = {key: value for key, value in kwargs.items() if isinstance(value, _UPLOADS)}
        if "json" in uploads:
            raise TypeError("kwargs['json']: an upload cannot be named 'json', the name of the call itself")
        json_kwargs = {key: value for key, value in kwargs.items() if key not in uploads}
        text = _json_text([name, list(args), json_kwargs])
        self.body: bytes | MultipartBody
        if uploads:
            self.body = _multipart(text, uploads)
            self.content_type = self.body.content_type
        else:
            self.body = urlencode({"json": text}).encode()
            self.content_type = "application/x-www-form-urlencoded"
        self.length = len(self.body)

    def rewind(self) -> bool:
        """Go back to the first byte for a retry. Return False if the same bytes cannot be read again."""
        return isinstance(self.body, bytes) or self.body.rewind()

    def __enter__(self) -> EncodedCall:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if isinstance(self.body, MultipartBody):
            self.body.close()


def decode(response: requests.Response) -> Any:
    """Return the value of a response: that of its JSON, None if it is empty, a ResponseFile for an octet-stream.

    Raises APIError or RateLimitError for a status other than 2xx or a body that is not JSON, and TransportError for a
    truncated body.
    """
    if not 200 <= response.status_code < 300:
        raise api_error(response)
    media = response.headers.get("Content-Type", "").split(";")[0].strip().lower()
    if media == "application/octet-stream" and response.status_code != 204:
        return ResponseFile(response)
    with ResponseBody(response, unconfirmed=True) as body:
        data = _read(body, response.status_code)
        if not data:
            return None
        try:
            value = json.loads(data.decode(charset(response), "replace"))
            if body.is_confirmed or isinstance(value, (dict, list)):  # a truncated list or object is not JSON
                return value
        except (ValueError, RecursionError):
            pass
        if not body.is_confirmed:
            data, value = b"", None  # server text may echo a secret, so the frames of errors do not hold it
            body.fail("the connection was closed")
    excerpt = clean(" ".join(data[: 40 * EXCERPT_LENGTH].decode("utf-8", "replace").split()), one_line=True)
    media = clean(media, one_line=True)[:EXCERPT_LENGTH] or "an unknown type"
    del data
    raise APIError(response.status_code, f"expected JSON, got {media}: {excerpt[:EXCERPT_LENGTH]}")


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
        text = json.dumps(call, allow_nan=False)
        if "\\ud" in text:  # the escape of a surrogate, which may be a lone one
            json.dumps(call, ensure_ascii=False).encode()
        return text
    except RecursionError:
        reason = "they are nested too deeply"
    except (TypeError, ValueError) as error:
        reason = str(error)
    with contextlib.suppress(RecursionError):  # json names the type but not the place
        _raise_for_unserializable(call[1], "args", ())
        _raise_for_unserializable(call[2], "kwargs", ())
    raise ValueError(f"JSON cannot hold the arguments: {reason}")


def _raise_for_unserializable(value: Any, place: str, parents: tuple[int, ...]) -> None:
    """Raise TypeError or ValueError for the first thing in ``value`` that JSON cannot hold."""
    if isinstance(value, _UPLOADS):
        raise TypeError(f"{place}: {type(value).__name__} cannot go there: pass it as a keyword argument of its own")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{place}: JSON has no {value}")
    if isinstance(value, str) and _SURROGATE.search(value):
        raise ValueError(f"{place}: the text contains a lone surrogate, which UTF-8 cannot hold")
    if value is None or isinstance(value, (str, int, float)):
        return
    if not isinstance(value, (list, tuple, dict)):
        hint = "; to upload a file pass File(...)" if hasattr(value, "read") or isinstance(value, os.PathLike) else ""
        raise TypeError(f"{place}: JSON cannot hold a {type(value).__name__}{hint}")
    if id(value) in parents:
        raise ValueError(f"{place}: contains itself")
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if not isinstance(key, (str, int, float, bool, type(None))):
            raise TypeError(f"{place}: JSON cannot have a {type(key).__name__} as a key")
        _raise_for_unserializable(key, f"{place}[{key!r}]", ())
        _raise_for_unserializable(item, f"{place}[{key!r}]", (*parents, id(value)))


def _read(body: ResponseBody, status: int) -> bytes:
    with io.BytesIO() as data:  # its repr does not show a token or signed URL that came before an error
        while data.tell() <= MAX_JSON and data.write(body.read(BLOCK)):
            pass
        if data.tell() > MAX_JSON:
            raise APIError(status, f"the response has more than {MAX_JSON >> 20} MiB of JSON")
        return data.getvalue()
