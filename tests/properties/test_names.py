"""Properties of file names: safe in the multipart head, and on disk inside the target directory."""

from __future__ import annotations

import io
import ntpath
import re
import sys
import unicodedata
from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from support.scripted import json_response
from support.stage import TEXT, Stage, examples

import sidefx_client as sidefx
from sidefx_client.names import name_in_disposition, safe_name

TRAPS = (
    "../x", "/etc/passwd", "a\\b", "C:\\x", "C:x", "\\\\host\\share", "nul", "NUL.tar.gz", "com1 .txt", "..", ".",
    "...", "a\0b", ".bashrc", "-rf", "a\u202egpj.exe", "\ufeffx", " x ", "x. .", "a:stream", '"; filename="b', "~",
    "%2e%2e%2f", "x\r\nSet-Cookie: a=b\r\n\r\n", "con\u2003", "\u00a0.x", "é" * 300, "x" * 199 + " " + "y" * 9,
    "x" * 199 + ".y" * 9, "x." + "y" * 18 + " z", "x" * 300 + ".tar.gz", "CON" + " " * 250 + "x",
)  # fmt: skip
ODD = st.text(st.sampled_from("/\\.:- _\"'%;=*?<>|\r\n\t\0aCOMN1\u202e\u200b\u00e9\U0001f600\ud800"), max_size=20)
LENGTHS = st.integers(1, 260).map("a".__mul__)
NAMES = st.sampled_from(TRAPS) | TEXT | ODD | st.builds("{}{}{}".format, ODD, LENGTHS, ODD)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("folder")


def is_reserved(name: str) -> bool:
    """Return True if Windows reserves ``name`` or treats it as another name."""
    if sys.version_info >= (3, 13):
        return ntpath.isreserved(name)
    return PureWindowsPath(name).is_reserved() or name.endswith((" ", ".")) or bool(re.search('[<>:"/\\\\|?*]', name))


@examples(300)
@given(name=NAMES)
def test_safe_name_creates_one_file_inside_its_directory(name: str, folder: Path) -> None:
    safe = safe_name(name)
    if safe is None:
        return
    assert safe == Path(safe).name == PureWindowsPath(safe).name == safe_name(safe)
    assert not is_reserved(safe)
    assert not safe.startswith((".", "-", " "))
    assert not [character for character in safe if unicodedata.category(character)[0] == "C"]
    assert len(safe.encode()) <= 200
    path = folder / safe
    path.write_bytes(b"")
    assert [each.name for each in folder.iterdir()] == [safe]
    path.unlink()


WORDS = st.sampled_from(
    ("attachment", ";", "=", '"', "filename", "filename*", "UTF-8''", "''", "'", "%", "%00", "%2F", "..", "/", "\\",
     " ", "\r\n ", "*0", "*0*", "*1*", "x", "idna''", "hex''", "undefined''", "\xff", "é", "\udc80")
)  # fmt: skip


@examples(300)
@given(
    header=st.lists(WORDS, max_size=14).map("".join)
    | st.builds("attachment; {}{}={}".format, WORDS, WORDS, st.text(max_size=30))
    | st.text()
)
def test_any_content_disposition_gives_a_safe_name(header: str) -> None:
    name = name_in_disposition(header)
    assert name is None or name == safe_name(name)


@examples(150)
@given(
    name=NAMES.filter(bool),
    keyword=NAMES.filter(lambda text: text != "json" and not re.search("[\ud800-\udfff]", text)),
)
@example(name='a"b\r\nc\\d', keyword='k"\r\n\r\nx')
@example(name="tab\tand\x7f\x00", keyword="\x7f")
def test_upload_names_cannot_inject_headers(stage: Stage, name: str, keyword: str) -> None:
    # The multipart form does not escape a percent sign, so the text "%00" is ambiguous.
    assume((_unescaped(name), _unescaped(keyword)) == (name, keyword))
    stage.respond(json_response(None))
    stage.service.things.upload(**{keyword: sidefx.File(io.BytesIO(b"content"), name=name)})
    _, (head, body) = stage.request.parts
    assert body == b"content"
    disposition, media = head.split(b"\r\n")
    assert media == b"Content-Type: application/octet-stream"
    match = re.fullmatch(rb'Content-Disposition: form-data; name="([^"\\]*)"; filename="([^"\\/]+)"', disposition)
    assert match, disposition
    for sent, meant in zip(match.groups(), (keyword, re.split(r"[/\\]", name)[-1] or "unnamed.bin")):
        assert not re.search(rb"[\0-\x1f\x7f]", sent)
        assert _unescaped(sent.decode()) == meant.encode("utf-8", "replace").decode()


def _unescaped(text: str) -> str:
    """Undo the percent escapes that we use from the HTML standard."""
    return re.sub("%(0[0-9A-F]|1[0-9A-F]|22|5C|7F)", lambda match: chr(int(match[1], 16)), text)
