"""The encoding of a call as a request, and the decoding of its response.

As https://www.sidefx.com/docs/api/ describes, a request has the form field ``json=["module.function", [positional],
{keyword}]``. Uploads are further parts, named after their keywords. The response is JSON or an octet-stream; that of a
failed call is an error message.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import requests

from .errors import APIError, RateLimitError, TransportError, clean
from .files import File, ResponseFile
from .retry import retry_after
from .transport.connection import BLOCK
from .transport.multipart import BytesSource, MultipartBody
from .transport.response import ResponseBody, charset
from .urls import origin

MAX_JSON = 256 * 1024 * 1024  # bytes of a response that are held in memory
EXCERPT_LENGTH = 200  # characters of a response that is not JSON
MAX_ERROR_TEXT = 64 * 1024  # bytes of an error body that are read and shown
MAX_DEBUG_PAGE = 1024 * 1024  # bytes of a debug page that are read: its traceback comes late
MAX_TRACEBACK = 8 * 1024  # bytes of a traceback from a debug page that are shown
_LONGEST_SECRET = 8 * 1024  # characters at the end of truncated text that could be the beginning of a secret
_TRACEBACK_START = re.compile(r"^[ \t]*Traceback(?: \(most recent call last\))?:[ \t]*\r?$", re.MULTILINE)
_TRACEBACK_END = re.compile(r"^[ \t]*</textarea>[ \t]*\r?$", re.MULTILINE)
_UPLOADS = (File, bytes, bytearray, memoryview)


@contextlib.contextmanager
def encoded(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[str | MultipartBody]:
    """Yield the body of the request for a call. Its files are open within the ``with`` block.

    Raises TypeError or ValueError for an argument that JSON cannot hold or a misplaced file, and names its place.
    Raises OSError for a file that cannot be read.
    """
    uploads = {key: value for key, value in kwargs.items() if isinstance(value, _UPLOADS)}
    if "json" in uploads:
        raise TypeError("kwargs['json']: an upload cannot be named 'json', the name of the call itself")
    text = _json_text(name, list(args), {key: value for key, value in kwargs.items() if key not in uploads})
    if not uploads:
        yield urlencode({"json": text})  # text, as requests makes it, because tests parse the body
        return
    _json_text(name, [], dict.fromkeys(uploads))  # raises for a lone surrogate in a keyword
    with contextlib.ExitStack() as opened:
        fields: list[Any] = [("json", None, BytesSource(text.encode()))]
        for key, value in uploads.items():
            source = value.source() if isinstance(value, File) else BytesSource(value)
            opened.callback(source.close)
            fields.append((key, value.name_on_wire if isinstance(value, File) else "unnamed.bin", source))
        yield MultipartBody(fields)


def decode(response: requests.Response) -> Any:
    """Return the value of a response: its JSON, None if it is empty, or a ResponseFile for an octet-stream.

    Raises APIError or RateLimitError for a status other than 2xx or a body that is not JSON. Raises TransportError for
    a truncated body.
    """
    if not 200 <= response.status_code < 300:
        raise _api_error(response)
    media = response.headers.get("Content-Type", "").split(";")[0].strip().lower()
    if media == "application/octet-stream" and response.status_code != 204:
        return ResponseFile(response)
    data = io.BytesIO()  # its repr does not show a token or signed URL, so the frames of errors may hold it
    failure: TransportError | None = None
    with ResponseBody(response) as body:
        try:
            _copy(body, data, MAX_JSON + 1)
        except TransportError as error:
            failure = error
    if data.tell() > MAX_JSON:
        raise APIError(response.status_code, f"the response has more than {MAX_JSON >> 20} MiB of JSON")
    if not data.tell() and not failure:
        return None
    with contextlib.suppress(ValueError, RecursionError):
        value = json.loads(data.getvalue().decode(charset(response), "replace"))
        # Many servers close a connection without TLS's close_notify. A truncated list or object is not JSON.
        if not failure or (body.ends_with_connection and isinstance(value, (dict, list))):
            return value
        del value  # it may be a text with an echoed secret
    if failure:
        raise failure
    data = io.BytesIO(b" ".join(data.getvalue().split(None, EXCERPT_LENGTH)[:EXCERPT_LENGTH]))
    excerpt = clean(data.getvalue()[:MAX_ERROR_TEXT].decode("utf-8", "replace"), one_line=True)
    media = clean(media, one_line=True)[:EXCERPT_LENGTH] or "an unknown type"
    raise APIError(response.status_code, f"expected JSON, got {media}: {excerpt[:EXCERPT_LENGTH]}")


def error_message(status: int, text: str) -> str:
    """Return the part of an error body that is meant for people, cleaned. Usually it is the whole body.

    For a Django debug page (500) only the end of the traceback is returned, which names the exception. A traceback
    stands between a line ``Traceback:`` (old Django) or ``Traceback (most recent call last):`` and a line
    ``</textarea>``, HTML-escaped. For ``{"error": "text"}`` only the text is returned, also with OAuth's
    ``error_description``.
    """
    start = _TRACEBACK_START.search(text) if status == 500 else None
    end = start and _TRACEBACK_END.search(text, start.end())
    if start and end:
        import html  # its table of entities would be a sixth of the cost of importing this package

        traceback = clean(html.unescape(text[start.start() : end.start()].strip("\r\n")))
        return traceback.encode("utf-8", "replace")[-MAX_TRACEBACK:].decode(errors="ignore")
    with contextlib.suppress(ValueError, TypeError, RecursionError):  # TypeError: a value is not text
        value = json.loads(text)
        if isinstance(value, dict) and list(value) in (["error"], ["error", "error_description"]):
            text = ": ".join(value.values())
    return clean(text)[:MAX_ERROR_TEXT]


def _api_error(response: requests.Response) -> APIError:
    """Return the error for a response whose status is not 2xx. Read its body up to a limit and close it."""
    status = response.status_code
    if status in (301, 302, 303, 307, 308):
        response.close()
        target = clean(origin(response.headers.get("Location", ""), str(response.url)), one_line=True)
        return APIError(status, f"the server redirects to {target}, which is not followed: check the URL")
    message = error_message(status, _text(response).strip())
    if not message:
        message = clean(response.reason or "an error", one_line=True) + " (the server sent no message)"
    if "EULA not accepted" in message:
        message += " (log in and accept it at https://www.sidefx.com/services/eula/)"
    return (RateLimitError if status == 429 else APIError)(status, message, retry_after=retry_after(response.headers))


def _text(response: requests.Response) -> str:
    """Return the body of an error, or its beginning if it is too long or truncated."""
    is_page = response.status_code == 500 and "html" in response.headers.get("Content-Type", "").lower()
    limit = MAX_DEBUG_PAGE if is_page else MAX_ERROR_TEXT
    data = io.BytesIO()
    with contextlib.suppress(TransportError), ResponseBody(response) as body:
        _copy(body, data, limit + _LONGEST_SECRET)
    text = data.getvalue().decode(charset(response), "replace")
    return text if data.tell() < limit + _LONGEST_SECRET else clean(text)[:-_LONGEST_SECRET]


def _copy(body: ResponseBody, data: io.BytesIO, limit: int) -> None:
    """Copy up to ``limit`` bytes of the body."""
    while data.tell() < limit and data.write(body.read(min(BLOCK, limit - data.tell()))):
        pass


def _json_text(name: str, args: list[Any], kwargs: dict[str, Any]) -> str:
    with contextlib.suppress(TypeError, ValueError, RecursionError):  # json names the type but not the place
        return _dumps([name, args, kwargs])
    with contextlib.suppress(RecursionError):
        for place, value in (("name", name), ("args", args), ("kwargs", kwargs)):
            _raise_for_unserializable(value, place, ())
    raise ValueError("JSON cannot hold the arguments: they are nested too deeply")


def _dumps(value: Any) -> str:
    text = json.dumps(value, allow_nan=False)
    # json escapes a surrogate, which is half of a pair or a lone one.
    if "\\ud" in text and re.search("[\ud800-\udfff]", json.dumps(value, ensure_ascii=False)):
        raise ValueError("the text contains a lone surrogate, which UTF-8 cannot hold")
    return text


def _raise_for_unserializable(value: Any, place: str, parents: tuple[int, ...]) -> None:
    """Raise TypeError or ValueError for the first thing in ``value`` that JSON cannot hold."""
    try:
        _dumps(value)
        return
    except (TypeError, ValueError, RecursionError) as error:
        kind, reason = (TypeError if isinstance(error, TypeError) else ValueError), str(error)
    if id(value) in parents:
        raise ValueError(f"{place}: contains itself")
    if isinstance(value, (dict, list, tuple)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            _raise_for_unserializable(item, f"{place}[{key!r}]", (*parents, id(value)))
    elif kind is TypeError:
        reason += "; to upload a file, pass File(...) or bytes as a keyword argument of its own"
    raise kind(f"{place}: {reason}")
