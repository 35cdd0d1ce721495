"""File names: the last component, and names from a server made safe."""

from __future__ import annotations

import pytest

from sidefx_client.names import last_component, name_in_disposition, safe_name


@pytest.mark.parametrize("path", ["a.hip", "/b/a.hip", "b\\a.hip", "C:\\b/c\\a.hip", "//server/share\\a.hip"])
def test_the_last_component_is_that_after_either_slash(path: str) -> None:
    assert last_component(path) == "a.hip"


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("houdini-20.5.278-linux_x86_64_gcc11.2.tar.gz", "houdini-20.5.278-linux_x86_64_gcc11.2.tar.gz"),
        ("Zoë 雪.hip", "Zoë 雪.hip"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\win.ini", "win.ini"),
        ("a:b", "a_b"),
        ("a\0b\r\nc", "a_b__c"),
        ('what<>"|?*', "what______"),
        ("right\u202eleft", "right_left"),
        (".bashrc", "_bashrc"),
        ("-rf", "_rf"),
        ("nul", "_nul"),
        ("COM1.tar.gz", "_COM1.tar.gz"),
        ("console", "console"),
        (" padded. . ", "padded"),
        ("lone\udcff", "lone_"),
    ],
)
def test_a_name_from_a_server_stays_in_its_directory_and_hides_nothing(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@pytest.mark.parametrize("name", ["", ".", "..", "...", "a/", "a\\", " ", "-", "\u00a0"])
def test_what_is_no_name_is_none(name: str) -> None:
    assert safe_name(name) is None


@pytest.mark.parametrize("name", ["x" * 300 + ".tar.gz", "雪" * 300 + ".hip", "x" * 300, "x." + "y" * 300])
def test_a_long_name_is_cut_to_what_file_systems_take(name: str) -> None:
    safe = safe_name(name)
    assert safe
    assert len(safe.encode()) <= 200
    assert safe.endswith(name[-3:])


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
        ("attachment; filename*=UTF-8''Zo%C3%AB.hip; filename=\"Zoe.hip\"", "Zoë.hip"),
        ("attachment", None),
        ("attachment; filename", None),
        ('attachment; filename=""', None),
        ("", None),
        (None, None),
    ],
)
def test_the_name_in_a_content_disposition(header: str | None, name: str | None) -> None:
    assert name_in_disposition(header) == name


@pytest.mark.parametrize(
    "value", ["klingon''a%FF", "idna''%FF", "a\0b''c", "''", "%", "UTF-8''%FF%FE", "\r\nX: y", '"', ";;;="]
)
def test_a_broken_content_disposition_is_no_error(value: str) -> None:
    assert isinstance(name_in_disposition(f"attachment; filename*={value}"), (str, type(None)))
