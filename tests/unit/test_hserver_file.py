"""The user's hserver.ini: a pair is written or removed, all other lines stay byte for byte."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from sidefx_client import ConfigError
from sidefx_client.credentials import hserver_file
from sidefx_client.credentials.find import find
from sidefx_client.secret import Secret

NEW = ("new-id", "new-secret")
CASES = {
    "empty": (b"", b"ClientID = new-id\nClientSecret = new-secret\n"),
    "other lines": (
        b"# c\n[main]\nlicenseserver = a\n",
        b"# c\n[main]\nlicenseserver = a\nClientID = new-id\nClientSecret = new-secret\n",
    ),
    "no line end": (b"APIKey = a b", b"APIKey = a b\nClientID = new-id\nClientSecret = new-secret\n"),
    "crlf": (b"a=1\r\n", b"a=1\r\nClientID = new-id\r\nClientSecret = new-secret\r\n"),
    "not utf-8": (b"name = \xff\xe9\n", b"name = \xff\xe9\nClientID = new-id\nClientSecret = new-secret\n"),
    "byte order mark": (
        b"\xef\xbb\xbfClientID=new-id\nClientSecret=old\n",
        b"\xef\xbb\xbfClientID=new-id\nClientSecret=new-secret\n",
    ),
    "utf-16": (
        "\ufeffx=1\r\nclientid = new-id\r\nclientsecret = old\r\n".encode("utf-16-be"),
        "\ufeffx=1\r\nclientid = new-id\r\nclientsecret = new-secret\r\n".encode("utf-16-be"),
    ),
    "spelling": (
        b"  CLIENTID=new-id \n\tClientSecret =\told = \n",
        b"  CLIENTID=new-id \n\tClientSecret =\tnew-secret \n",
    ),
    "pairs in order": (
        b"ClientID = a\nClientID = new-id\nClientSecret = 1\nx\nClientSecret = 2\n",
        b"ClientID = a\nClientID = new-id\nClientSecret = 1\nx\nClientSecret = new-secret\n",
    ),
    "twice": (
        b"ClientID=new-id\nClientSecret=1\nClientID=new-id\nClientSecret=2",
        b"ClientID=new-id\nClientSecret=new-secret\nClientID=new-id\nClientSecret=new-secret",
    ),
    "template": (
        b"ClientID =\nClientSecret =\n",
        b"ClientID =\nClientSecret =\nClientID = new-id\nClientSecret = new-secret\n",
    ),
    "comment": (
        b"# ClientID = new-id\n",
        b"# ClientID = new-id\nClientID = new-id\nClientSecret = new-secret\n",
    ),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sidefx" / "hserver.ini"


@pytest.mark.parametrize(("before", "after"), CASES.values(), ids=CASES)
def test_a_pair_is_replaced_or_appended(path: Path, before: bytes, after: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(before)
    path.chmod(0o644)
    hserver_file.write_pair(str(path), NEW[0], Secret(NEW[1]))
    assert path.read_bytes() == after
    assert sys.platform == "win32" or stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "new-id" in hserver_file.client_ids(str(path))
    assert [each.name for each in path.parent.iterdir()] == ["hserver.ini"]


def test_a_removed_pair_leaves_all_other_lines(path: Path) -> None:
    before = b"\xef\xbb\xbf# \xff\r\nClientID=a\r\nClientID=b\rClientSecret=1\nClientSecret=2\nAPIKey=b c"
    path.parent.mkdir()
    path.write_bytes(before)
    hserver_file.remove_pair(str(path), "b")
    assert path.read_bytes() == b"\xef\xbb\xbf# \xff\r\nClientID=a\r\nClientSecret=1\nAPIKey=b c"
    hserver_file.remove_pair(str(path), "a")
    assert path.read_bytes() == b"\xef\xbb\xbf# \xff\r\nAPIKey=b c"
    assert hserver_file.client_ids(str(path)) == []


def test_find_reads_the_written_pair_from_the_same_path() -> None:
    path = hserver_file.user_path()
    hserver_file.write_pair(path, NEW[0], Secret(NEW[1]))
    found = find(None, None, token_url="https://www.sidefx.com/oauth2/token")
    assert (found.client_id, found.source) == ("new-id", path)


@pytest.mark.parametrize(
    "content", ["ClientID = a\n", "ClientSecret = a\n", "ClientID=a\nClientID=b\nClientSecret=c\n"]
)
def test_a_file_with_half_a_pair_is_not_changed(path: Path, content: str) -> None:
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(ConfigError, match="without a ClientSecret"):
        hserver_file.write_pair(str(path), NEW[0], Secret(NEW[1]))
    with pytest.raises(ConfigError, match="without a ClientSecret"):
        hserver_file.remove_pair(str(path), "a")
    assert path.read_text() == content


@pytest.mark.skipif(sys.platform == "win32", reason="links, modes and file size limits of POSIX")
def test_a_link_is_kept_and_a_directory_is_refused(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to(tmp_path / "real.ini")
    hserver_file.write_pair(str(path), NEW[0], Secret(NEW[1]))
    assert path.is_symlink()
    assert hserver_file.client_ids(str(tmp_path / "real.ini")) == ["new-id"]
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        hserver_file.write_pair(str(tmp_path / "folder"), NEW[0], Secret(NEW[1]))


@pytest.mark.skipif(sys.platform == "win32", reason="links, modes and file size limits of POSIX")
def test_a_full_disk_leaves_the_older_file_and_no_secret_in_the_traceback(path: Path) -> None:
    import resource
    import signal

    path.parent.mkdir()
    path.write_text("x" * 5000)
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        with pytest.raises(OSError, match="too large") as raised:
            hserver_file.write_pair(str(path), NEW[0], Secret(NEW[1]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_text() == "x" * 5000
    assert os.listdir(path.parent) == ["hserver.ini"]
    frames = [entry.frame.f_locals for entry in raised.traceback if "sidefx_client" in str(entry.path)]
    assert frames
    assert "new-secret" not in repr(frames)
