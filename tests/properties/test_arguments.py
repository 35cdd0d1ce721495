"""Properties of arguments: any name and any JSON value reaches the server unchanged, with or without uploads."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from support.scripted import json_response
from support.stage import TEXT, VALUES, Stage, examples

import sidefx_client as sidefx

OURS = ("self", "timeout", "name", "args", "kwargs", "function_name", "service", "session", "json", "progress", "")
KEYWORDS = st.sampled_from(OURS) | TEXT
# Tuples and huge integers, and keys that JSON converts to text.
MORE = VALUES | st.recursive(
    st.tuples(st.integers()) | st.integers(10**30, 10**60),
    lambda inner: st.dictionaries(st.none() | st.booleans() | st.integers() | st.floats(0, 9), inner, max_size=3),
)


def is_unicode(value: Any) -> bool:
    """Return False if a text in ``value`` contains a lone surrogate."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


@examples(80)
@given(
    name=st.text(st.characters(codec="utf-8"), min_size=1),
    args=st.lists(MORE, max_size=3),
    kwargs=st.dictionaries(KEYWORDS, MORE, max_size=4),
)
@example(name="a.b", args=["\ud800", "\udc00\ud800"], kwargs={})
@example(name="a.b", args=["\0\x7f\u2028"], kwargs={name: name for name in OURS})
def test_any_name_and_arguments_reach_the_server_unchanged(
    stage: Stage, name: str, args: list[Any], kwargs: dict[str, Any]
) -> None:
    stage.respond(json_response(None))
    if not is_unicode([args, kwargs]):
        with pytest.raises(ValueError, match="lone surrogate"):
            stage.service.things.echo(*args, **kwargs)
        return
    stage.service.things.echo(*args, **kwargs)
    assert stage.request.call == json.loads(json.dumps(["things.echo", args, kwargs]))
    sidefx.call(stage.service, name, args, kwargs)
    assert stage.request.call == json.loads(json.dumps([name, args, kwargs]))


@examples(60)
@given(
    args=st.lists(MORE, max_size=2),
    kwargs=st.dictionaries(KEYWORDS, MORE, max_size=3),
    uploads=st.dictionaries(KEYWORDS, st.binary(max_size=50), min_size=1, max_size=3),
    data=st.data(),
)
def test_any_arguments_and_uploads_share_one_multipart_body(
    stage: Stage, args: list[Any], kwargs: dict[str, Any], uploads: dict[str, bytes], data: st.DataObject
) -> None:
    assume("json" not in uploads and is_unicode([args, kwargs, list(uploads)]))
    kwargs = {key: value for key, value in kwargs.items() if key not in uploads}
    kinds = st.sampled_from((bytes, bytearray, memoryview, lambda content: sidefx.File(io.BytesIO(content))))
    stage.respond(json_response(None))
    stage.service.things.echo(*args, **kwargs, **{key: data.draw(kinds)(value) for key, value in uploads.items()})
    (head, call), *rest = stage.request.parts
    assert head == b'Content-Disposition: form-data; name="json"'
    assert json.loads(call) == json.loads(json.dumps(["things.echo", args, kwargs]))
    assert [body for _, body in rest] == list(uploads.values())
    for (head, _), keyword in zip(rest, uploads):
        disposition, media = head.split(b"\r\n")
        assert media == b"Content-Type: application/octet-stream"
        assert disposition.startswith(b'Content-Disposition: form-data; name="')
        if keyword.isidentifier() and keyword.isascii():
            assert disposition.startswith(f'Content-Disposition: form-data; name="{keyword}"; '.encode())
