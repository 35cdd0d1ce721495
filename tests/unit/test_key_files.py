"""The user's hserver.ini: a pair is written or removed, all other lines stay byte for byte."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from sidefx_client import ConfigError
from sidefx_client.credentials.key_files import client_ids, write_pair
from sidefx_client.secret import Secret

PAIR = b"ClientID = new-id\nClientSecret = new-secret\n"
OLD = b"ClientID=new-id\nClientSecret=old\n"
CASES = {
    "no line end": (b"APIKey = a b", b"APIKey = a b\n" + PAIR),
    "crlf": (b"a=1\r\n", b"a=1\r\n" + PAIR.replace(b"\n", b"\r\n")),
    "not utf-8": (b"name = \xff\xe9\n", b"name = \xff\xe9\n" + PAIR),
    "byte order mark": (b"\xef\xbb\xbf" + OLD, b"\xef\xbb\xbf" + PAIR),
    "utf-16": (
        "\ufeffx=1\r\nclientid = new-id\r\nclientsecret = old\r\n".encode("utf-16-be"),
        "\ufeffx=1\r\nClientID = new-id\r\nClientSecret = new-secret\r\n".encode("utf-16-be"),
    ),
    "spelling": (b"x\n  CLIENTID=new-id \n\tClientSecret =\told = \n", b"x\n" + PAIR),
    "pairs in order": (
        b"ClientID = a\nClientID = new-id\nClientSecret = 1\nx\nClientSecret = 2\n",
        b"ClientID = a\nClientID = new-id\nClientSecret = 1\nx\nClientSecret = new-secret\n",
    ),
    "twice": (OLD + b"x\n" + OLD[:-1], PAIR + b"x\n" + PAIR),
    "template": (b"# ClientID = new-id\nClientID =\n[main]\n", b"# ClientID = new-id\nClientID =\n[main]\n" + PAIR),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "sidefx").mkdir()
    return tmp_path / "sidefx" / "hserver.ini"


def write(path: object, client_id: str = "new-id", secret: str = "new-secret") -> None:
    write_pair(str(path), client_id, Secret(secret))


@pytest.mark.parametrize(("before", "after"), CASES.values(), ids=CASES)
def test_a_pair_is_replaced_or_appended(path: Path, before: bytes, after: bytes) -> None:
    path.write_bytes(before)
    path.chmod(0o644)
    write(path)
    assert path.read_bytes() == after
    assert sys.platform == "win32" or stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "new-id" in client_ids(str(path))
    assert [each.name for each in path.parent.iterdir()] == ["hserver.ini"]


def test_a_removed_pair_leaves_all_other_lines(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf# \xff\r\nClientID=a\r\nClientID=b\rClientSecret=1\nClientSecret=2\nAPIKey=b c")
    write_pair(str(path), "b", None)
    assert path.read_bytes() == b"\xef\xbb\xbf# \xff\r\nClientID=a\r\nClientSecret=1\nAPIKey=b c"
    write_pair(str(path), "a", None)
    assert path.read_bytes() == b"\xef\xbb\xbf# \xff\r\nAPIKey=b c"
    assert client_ids(str(path)) == []


@pytest.mark.parametrize(
    "content", ["ClientID = a\n", "ClientSecret = a\n", "ClientID=a\nClientID=b\nClientSecret=c\n"]
)
@pytest.mark.parametrize("secret", [Secret("new-secret"), None], ids=["written", "removed"])
def test_a_file_with_half_a_pair_is_not_changed(path: Path, content: str, secret: Secret | None) -> None:
    path.write_text(content)
    with pytest.raises(ConfigError, match="without a ClientSecret"):
        write_pair(str(path), "a", secret)
    assert path.read_text() == content


@pytest.mark.skipif(sys.platform == "win32", reason="Windows needs a right to make links")
def test_a_link_is_kept(path: Path, tmp_path: Path) -> None:
    path.symlink_to(tmp_path / "real.ini")
    write(path)
    assert path.is_symlink()
    assert client_ids(str(tmp_path / "real.ini")) == ["new-id"]


def test_a_failed_write_has_no_secret_in_its_traceback(path: Path) -> None:
    path.write_text("ClientID = a\nClientSecret = old-secret\n")
    with pytest.raises(OSError) as raised:
        write(path / "hserver.ini")
    frames = [entry.frame.f_locals for entry in raised.traceback if "sidefx_client" in str(entry.path)]
    assert frames
    assert "new-secret" not in repr(frames)
