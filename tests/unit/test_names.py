"""Tests of safe_name and name_in_disposition by example. For any input see properties/test_names.py."""

from __future__ import annotations

import pytest

from sidefx_client.names import name_in_disposition, safe_name

SAFE = ("houdini-20.5.278-linux_gcc11.2.tar.gz", "Zoë 雪.hip", "a b (1).bgeo.sc", "50%.exe", "a.b notes", "console")


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        *((name, name) for name in SAFE),
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\win.ini", "win.ini"),
        ("a:b", "a_b"),
        ("a\0b\r\nc", "a_b__c"),
        ('a<>"|?*', "a______"),
        ("right\u202eleft", "right_left"),
        (".bashrc", "_bashrc"),
        ("-rf", "_rf"),
        ("nul", "_nul"),
        ("COM1.tar.gz", "_COM1.tar.gz"),
        (" padded. . ", "padded"),
        ("lone\udcff", "lone_"),
        *((name, None) for name in ("", ".", "..", "...", "a/", "a\\", " ", "-", "\u00a0")),
        ("x" * 300 + ".tar.gz", "x" * 200),
        ("雪" * 300, "雪" * 66),
        ("nul" + " " * 300 + "x", "_nul"),
    ],
)
def test_server_name_becomes_a_safe_name(name: str, safe: str | None) -> None:
    assert safe_name(name) == safe


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ('attachment; filename="shelf.tgz"', "shelf.tgz"),
        ("attachment; filename=shelf.tgz", "shelf.tgz"),
        ("INLINE; FileName=shelf.tgz", "shelf.tgz"),
        ('attachment; filename="a;b.tgz"', "a;b.tgz"),
        ('attachment; filename="../shelf.tgz"', "shelf.tgz"),
        ("attachment; filename*=UTF-8''Zo%C3%AB.hip", "Zoë.hip"),
        ("attachment; filename*=UTF-8''..%2FZo%C3%AB.hip", "Zoë.hip"),
        ("attachment; filename=\"Zoe.hip\"; filename*=UTF-8''Zo%C3%AB.hip", "Zoë.hip"),
        ("attachment", None),
        ('attachment; filename=""', None),
        (None, None),
    ],
)
def test_content_disposition_gives_a_safe_name(header: str | None, name: str | None) -> None:
    assert name_in_disposition(header) == name


def test_continuations_that_some_pythons_cannot_sort_give_no_error() -> None:
    assert name_in_disposition("attachment; filename*0*=a; filename*=b; filename*1=c") in (None, "ac")
