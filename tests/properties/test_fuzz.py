"""Fuzzed responses to calls and downloads. Each @example is a bug that was found here.

Credential files are fuzzed in unit/test_find.py, the token cache in unit/test_token_cache.py, the framing of responses
in test_responses.py.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.scripted import http_response
from support.stage import VALUES, Stage, examples

import sidefx_client as sidefx
from sidefx_client.downloads import workers

# The characters that http.client accepts in a header.
LATIN = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f\x85"), max_size=30)
CHARSETS = st.sampled_from(
    ("utf-8", "latin-1", "utf-16", "utf-7", "idna", "punycode", "undefined", "hex", "rot13", "unicode_escape", "mbcs",
     "klingon", "\x00")
)  # fmt: skip
ODD_MEDIA = ("text/plain; charset", 'a/b; charset="', "+json", ";=;")
MEDIA = st.sampled_from(("application/json", "text/html", "application/octet-stream", *ODD_MEDIA))
TYPES = MEDIA | LATIN | st.builds("{}; charset={}".format, MEDIA, CHARSETS)
CODINGS = LATIN | st.sampled_from(["gzip", "GZIP", "x-gzip", "deflate", "identity", "br", "gzip,gzip", "chunked"])
STATUSES = st.sampled_from((200, 200, 201, 204, 206, 301, 307, 400, 401, 403, 404, 416, 422, 429, 500, 503))
LOCATIONS = LATIN | st.sampled_from(["http://[", "//[::1", "https://x:port/", "http://a:b@c/", "mailto:x", "ÿ", "?"])
COOKIES = LATIN | st.sampled_from(("a=b; expires=x; max-age=y; domain=;", "=;=;", "$Version=1"))
HEADERS = {
    **dict.fromkeys(("Retry-After", "Content-Disposition"), LATIN),
    "Content-Type": TYPES,
    "Content-Encoding": CODINGS,
    "Location": LOCATIONS,
    "Set-Cookie": COOKIES,
}
TEXTS = (b"[" * 100_000, b"9" * 5000, b'{"a": NaN}', b"\xef\xbb\xbf[]", b'"\\ud800"', b"\\d", b" \n", b"\xff")
JSON = VALUES.map(json.dumps)
BODIES = st.binary(max_size=60) | JSON.map(str.encode) | JSON.map(lambda text: text.encode("utf-16"))
BODIES |= st.sampled_from(TEXTS)
TOLD = st.sampled_from((None, "bytes 0-9/10", "bytes */0")) | LATIN


@pytest.fixture(scope="module")
def _hasty() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "BACKOFF", 0.0)
        yield


@st.composite
def any_responses(draw: st.DrawFn, bodies: st.SearchStrategy[bytes]) -> bytes:
    body = draw(bodies)
    headers = draw(st.fixed_dictionaries({}, optional=HEADERS))
    if "gzip" in headers.get("Content-Encoding", ""):
        body = gzip.compress(body)
    return http_response(draw(STATUSES), body, headers)


def odd(status: int, body: bytes = b"x", **headers: str) -> bytes:
    return http_response(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.usefixtures("uncollected")
@examples(250)
@given(data=any_responses(BODIES))
@example(data=odd(200, b"[]", Content_Type="application/json; charset=hex"))  # LookupError: not a text encoding
@example(data=odd(500, Content_Type="text/plain; charset=idna"))  # UnicodeError: errors="replace" is ignored
@example(data=odd(500, Content_Type="text/plain; charset=undefined"))
@example(data=odd(200, b'"\\d"', Content_Type="application/json; charset=unicode_escape"))  # a warning
@example(data=odd(302, Location="http://["))  # ValueError of urljoin
@example(data=odd(200, b"[]", Content_Type="application/json; charset"))  # AttributeError in requests 2.28
@example(data=odd(200, b"[" * 100_000))
@example(data=odd(200, b"9" * 5000))
@example(data=odd(200, b"[]", Content_Length="one"))
def test_any_response_gives_a_value_or_raises_sidefx_error(stage: Stage, data: bytes) -> None:
    stage.respond(data, ending="FIN")
    try:
        stage.fetch()
    except sidefx.SideFXError as error:
        assert str(error).strip()  # noqa: PT017


@examples(150)
@given(data=any_responses(st.binary(max_size=60)), etag=LATIN, told=TOLD)
@example(data=odd(301, Location="http://["), etag="", told=None)  # ValueError of urljoin
@example(data=odd(416), etag="", told="bytes */0")  # an empty file, but the request had no Range
@pytest.mark.usefixtures("_hasty")
def test_any_response_to_a_download_gives_the_file_or_raises_sidefx_error(
    data: bytes, etag: str, told: str | None, stage: Stage, tmp_path_factory: pytest.TempPathFactory
) -> None:
    head, _, body = data.partition(b"\r\n\r\n")
    head += f"\r\nETag: {etag}".encode("latin-1") + (f"\r\nContent-Range: {told}".encode("latin-1") if told else b"")
    stage.respond(head + b"\r\n\r\n" + body, ending="FIN")
    path = Path(tmp_path_factory.mktemp("folder"), "file")
    try:
        assert sidefx.download_file(stage.server.url + "/file?signed", path) == path
    except sidefx.SideFXError as error:
        assert "signed" not in str(error)  # noqa: PT017
        assert not path.exists()
    else:
        assert path.read_bytes() == body
