"""Tests of credential search: its places on every system, their formats, and that the secret is hidden."""

from __future__ import annotations

import base64
import copy
import os
import pickle
import re
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.stage import examples

from sidefx_client.credentials import find as credentials
from sidefx_client.credentials import key_files
from sidefx_client.credentials.find import Credentials
from sidefx_client.credentials.key_files import MAX_FILE_SIZE
from sidefx_client.errors import ConfigError
from sidefx_client.secret import optional

SECRET = "s3cr3t"  # hidden in messages, reprs and our local variables
SIDEFX = "https://www.sidefx.com/oauth2/application_token"
STUDIO = "https://tokens.studio.example/token"
SYSTEMS = ("win32",) if os.name == "nt" else ("linux", "darwin", "win32", "cygwin")  # their paths exist here


def find(client_id: Any, client_secret_key: Any, *, token_url: str) -> Credentials:
    return credentials.find(client_id, optional(client_secret_key), token_url=token_url)


class Machine:
    """A simulated system with its credential files below a temporary directory."""

    def __init__(self, root: Path, system: str, monkeypatch: pytest.MonkeyPatch) -> None:
        windows = system in ("win32", "cygwin")
        self.home = root / "home"
        self.key_file = root / "keys.txt"
        self.netrc = self.home / ".netrc"
        self.system_ini = root / ("ProgramData/SideFX" if windows else "system") / "hserver.ini"
        user = {"linux": ".local/share/sidefx", "darwin": "Library/Application Support/sidefx"}
        self.user_ini = self.home / user.get(system, "AppData/Roaming/SideFX") / "hserver.ini"
        monkeypatch.setattr(sys, "platform", system)
        for name, value in (("HOME", self.home), ("USERPROFILE", self.home), ("SystemDrive", root)):
            monkeypatch.setenv(name, str(value))
        if not windows:
            # The system's directory is absolute, so only the table can move it.
            directories = (str(self.system_ini.parent), key_files.HSERVER_INI[system][1])
            monkeypatch.setitem(key_files.HSERVER_INI, system, directories)

    def write(self, path: Path, content: str | bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


@pytest.fixture(params=SYSTEMS)
def machine(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, request.param, monkeypatch)


@pytest.fixture
def linux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, "linux", monkeypatch)


def refusal(client_id: object = None, client_secret_key: object = None, *, token_url: str = SIDEFX) -> str:
    """Return the message of find's ConfigError, and check that the error and our frames hide the secret."""
    with pytest.raises(ConfigError) as caught:
        find(client_id, client_secret_key, token_url=token_url)
    assert caught.value.__context__ is None
    ours = [frame for frame, _ in traceback.walk_tb(caught.tb) if "sidefx_client" in frame.f_code.co_filename]
    assert ours
    shown = str(caught.value) + repr(caught.value) + "".join(repr(frame.f_locals) for frame in ours)
    assert SECRET not in shown
    assert base64.b64encode(SECRET.encode()).decode().rstrip("=") not in shown
    return str(caught.value)


def pair(found: Credentials) -> tuple[str, str]:
    client_id, secret = base64.b64decode(found._basic.reveal()).decode().split(":", 1)
    assert client_id == found.client_id
    return client_id, secret


# The places, in their order


def test_first_place_with_credentials_wins(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.write(machine.netrc, f"machine www.sidefx.com login six password {SECRET}\n")
    assert pair(find(None, None, token_url=SIDEFX)) == ("six", SECRET)
    machine.write(machine.user_ini, f"ClientID = five\nClientSecret = {SECRET}\n")
    assert pair(find(None, None, token_url=SIDEFX)) == ("five", SECRET)
    machine.write(machine.system_ini, f"APIKey = four {SECRET}\n")
    assert pair(find(None, None, token_url=SIDEFX)) == ("four", SECRET)
    machine.write(machine.key_file, f"three {SECRET}\n")
    monkeypatch.setenv("HOUDINI_API_KEY_FILE", str(machine.key_file))
    assert pair(find(None, None, token_url=SIDEFX)) == ("three", SECRET)
    monkeypatch.setenv("SIDEFX_CLIENT_ID", "two")
    monkeypatch.setenv("SIDEFX_CLIENT_SECRET", SECRET)
    assert pair(find(None, None, token_url=SIDEFX)) == ("two", SECRET)
    assert pair(find("one", SECRET, token_url=SIDEFX)) == ("one", SECRET)


def test_source_names_the_place(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.write(machine.netrc, f"machine www.sidefx.com login id password {SECRET}\n")
    assert find(None, None, token_url=SIDEFX).source == str(machine.netrc)
    machine.write(machine.user_ini, f"APIKey=id {SECRET}")
    assert Path(find(None, None, token_url=SIDEFX).source) == machine.user_ini
    machine.write(machine.key_file, f"id {SECRET}")
    monkeypatch.setenv("HOUDINI_API_KEY_FILE", str(machine.key_file))
    assert find(None, None, token_url=SIDEFX).source == str(machine.key_file)
    monkeypatch.setenv("SIDEFX_CLIENT_ID", "id")
    monkeypatch.setenv("SIDEFX_CLIENT_SECRET_KEY", SECRET)
    assert find(None, None, token_url=SIDEFX).source == "SIDEFX_CLIENT_ID and SIDEFX_CLIENT_SECRET_KEY"
    monkeypatch.setenv("SIDEFX_CLIENT_SECRET", SECRET)
    assert find(None, None, token_url=SIDEFX).source == "SIDEFX_CLIENT_ID and SIDEFX_CLIENT_SECRET"
    assert find("id", SECRET, token_url=SIDEFX).source == "arguments"


def test_empty_variable_counts_as_unset(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SIDEFX_CLIENT_ID", "SIDEFX_CLIENT_SECRET", "HOUDINI_API_KEY_FILE", "NETRC"):
        monkeypatch.setenv(name, "")
    assert "SIDEFX_CLIENT_SECRET_KEY): not set" in refusal()
    monkeypatch.setenv("SIDEFX_CLIENT_ID", "id")
    monkeypatch.setenv("SIDEFX_CLIENT_SECRET_KEY", SECRET)
    assert pair(find(None, None, token_url=SIDEFX)) == ("id", SECRET)


def test_missing_credentials_list_every_place(machine: Machine) -> None:
    lines = refusal().splitlines()
    assert lines[0] == "No credentials for www.sidefx.com. Searched, in this order:"
    assert lines[1:4] == [
        "  arguments: not given",
        "  SIDEFX_CLIENT_ID and SIDEFX_CLIENT_SECRET (or SIDEFX_CLIENT_SECRET_KEY): not set",
        "  HOUDINI_API_KEY_FILE: not set",
    ]
    files = [machine.system_ini, machine.user_ini, machine.netrc]
    files.append(machine.home / "_netrc")
    assert lines[4:-1] == [f"  {file}: does not exist" for file in files]
    assert lines[-1].startswith("Set SIDEFX_CLIENT_ID and SIDEFX_CLIENT_SECRET")


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        ("linux", ["/usr/lib/sesi/hserver", "/h/.local/share/sidefx"]),
        ("freebsd14", ["/usr/lib/sesi/hserver", "/h/.local/share/sidefx"]),
        ("darwin", ["/Library/Preferences/sesi/hserver", "/h/Library/Application Support/sidefx"]),
        ("win32", ["D:/ProgramData/SideFX", "D:/Users/me/AppData/Roaming/SideFX"]),
        ("cygwin", ["D:/ProgramData/SideFX", "D:/Users/me/AppData/Roaming/SideFX"]),
    ],
)
def test_hserver_ini_paths_of_each_system(system: str, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    if os.name == "nt" and system not in SYSTEMS:
        pytest.skip("these paths do not exist on Windows")
    monkeypatch.setattr(sys, "platform", system)
    for name, value in (("HOME", "/h"), ("SystemDrive", "D:"), ("USERPROFILE", "D:/Users/me")):
        monkeypatch.setenv(name, value)
    # For another host the files are listed but not read, so an installed Houdini does not matter.
    listed = [line for line in refusal(token_url=STUDIO).splitlines() if "hserver.ini: " in line]
    reason = "not read, because its keys are not for tokens.studio.example"
    assert listed == [f"  {Path(directory, 'hserver.ini')}: {reason}" for directory in expected]


@pytest.mark.parametrize(
    "content",
    [
        f"id {SECRET}",
        f"  id\t{SECRET}  \r\nother pair\r\n",
        f"\ufeffid {SECRET}\n",
        f"www.sidefx.com id {SECRET}",
        f"SideFX.com id {SECRET}",
        f"licences.studio.example no key; www.sidefx.com id {SECRET}; other pair",
        f"notsidefx.com no key\n\nid {SECRET}",
        f"id {SECRET}\r\n".encode("utf-16"),
        f"\ufeffid {SECRET}\r\n".encode("utf-16-be"),
    ],
)
def test_key_file_formats(content: str | bytes, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.write(machine.key_file, content)
    monkeypatch.setenv("HOUDINI_API_KEY_FILE", str(machine.key_file))
    assert pair(find(None, None, token_url=SIDEFX)) == ("id", SECRET)


def test_key_file_for_other_servers_is_skipped(linux: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    linux.write(linux.key_file, f"licences.studio.example id {SECRET}\nsidefx.com.example id {SECRET}")
    monkeypatch.setenv("HOUDINI_API_KEY_FILE", str(linux.key_file))
    assert "HOUDINI_API_KEY_FILE: has keys for other servers only" in refusal()


UNENDING = "\n" * MAX_FILE_SIZE + f"id {SECRET}"


@pytest.mark.parametrize(
    "content", [None, "", "\n\n", "this is not a key", b"\xff\xfe", "directory", UNENDING], ids=range(7)
)
def test_unusable_key_file_raises_config_error(
    content: str | bytes | None, linux: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    linux.write(linux.user_ini, f"APIKey = id {SECRET}")
    if content == "directory":
        linux.key_file.mkdir()
    elif content is not None:
        linux.write(linux.key_file, content)
    monkeypatch.setenv("HOUDINI_API_KEY_FILE", str(linux.key_file))
    assert refusal().startswith("HOUDINI_API_KEY_FILE names a file that ")


def test_invalid_utf8_raises_config_error(linux: Machine) -> None:
    linux.write(linux.user_ini, f"APIKey = id {SECRET}é".encode("latin-1"))
    assert "the client secret has a line break or another character that no key has" in refusal()


def test_key_in_place_of_a_path_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOUDINI_API_KEY_FILE", f"id {SECRET}")
    assert "does not exist" in refusal()


@pytest.mark.parametrize(
    "content",
    [
        f"ClientID=id\nClientSecret={SECRET}",
        f"\ufeff[main]\r\nclientid = id\r\nclientsecret = {SECRET}\r\n",
        f"ClientSecret={SECRET}\nClientID=id\nClientID=second\nClientSecret=other\n",
        f"# a comment\n; another\nno value\nServerHost = x\nAPIKey = id {SECRET}",
        f"APIKey = www.sidefx.com id {SECRET}; other pair\nAPIKey = third pair",
        f"APIKey = licences.studio.example no key\nAPIKey = id {SECRET}",
        f"APIKey = other pair\nClientID = id\nClientSecret = {SECRET}",
        "ClientID=\nClientSecret=\nAPIKeyFile = {key_file}",
        "APIKeyFile = nowhere\nAPIKeyFile = {key_file}",
    ],
)
def test_hserver_ini_formats(content: str, machine: Machine) -> None:
    machine.write(machine.key_file, f"licences.studio.example no key\nid {SECRET}\n")
    machine.write(machine.user_ini, content.replace("{key_file}", str(machine.key_file)))
    assert pair(find(None, None, token_url=SIDEFX)) == ("id", SECRET)


def test_hserver_ini_values_may_contain_separators(machine: Machine) -> None:
    machine.write(machine.system_ini, "ClientID=i=d;\nClientSecret = a=b:c;d#é\n")
    assert pair(find(None, None, token_url=SIDEFX)) == ("i=d;", "a=b:c;d#é")


def test_unreadable_hserver_ini_is_skipped_and_listed(machine: Machine) -> None:
    machine.system_ini.mkdir(parents=True)
    machine.write(machine.user_ini, f"APIKeyFile = {SECRET}\nAPIKeyFile = a\0b\nAPIKey=studio.example no key")
    message = refusal()
    assert re.search(r"hserver.ini: cannot be read \((Is a directory|Permission denied)\)", message)
    assert (
        "hserver.ini: has no key for sidefx.com, its APIKeyFile does not exist, "
        "its APIKeyFile cannot be read (not a path)"
    ) in message
    machine.write(machine.netrc, f"machine www.sidefx.com login id password {SECRET}")
    assert pair(find(None, None, token_url=SIDEFX)) == ("id", SECRET)


def test_netrc_needs_an_entry_for_the_host(machine: Machine) -> None:
    machine.write(
        machine.netrc,
        f"machine sidefx.com login no password {SECRET}\n"
        f"machine Tokens.Studio.Example login id password {SECRET}\n"
        f"default login no password {SECRET}\n",
    )
    assert "has no entry for www.sidefx.com" in refusal()
    assert "has no entry for default" in refusal(token_url="https://default/token")
    assert pair(find(None, None, token_url=STUDIO)) == ("id", SECRET)


def test_A12_netrc_may_be_named_with_an_underscore(machine: Machine) -> None:
    machine.write(machine.home / "_netrc", f"machine www.sidefx.com login id password {SECRET}")
    assert find(None, None, token_url=SIDEFX).source == str(machine.home / "_netrc")


def test_A12_netrc_may_begin_with_a_byte_order_mark(linux: Machine) -> None:
    entry = f"machine www.sidefx.com login id password {SECRET}"
    linux.write(linux.netrc, entry.encode("utf-8-sig"))
    assert pair(find(None, None, token_url=SIDEFX)) == ("id", SECRET)
    linux.write(linux.netrc, entry.encode("utf-16"))
    assert ".netrc: cannot be read as a netrc file" in refusal()


def test_netrc_variable_names_another_file(linux: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    linux.write(linux.netrc, "machine www.sidefx.com login no password other")
    linux.write(linux.home / "studio", f"machine www.sidefx.com login id password {SECRET}")
    monkeypatch.setenv("NETRC", "~/studio")
    assert pair(find(None, None, token_url=SIDEFX)) == ("id", SECRET)
    monkeypatch.setenv("NETRC", str(linux.home))
    assert f"{linux.home}: cannot be read as a netrc file" in refusal()


@pytest.mark.parametrize("host", ["tokens.studio.example", "notsidefx.com", "sidefx.com.example"])
def test_vendor_files_are_not_read_for_other_hosts(
    host: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (machine.key_file, machine.system_ini, machine.user_ini):
        machine.write(path, f"APIKey = id {SECRET}" if path.suffix == ".ini" else f"id {SECRET}")
    monkeypatch.setenv("HOUDINI_API_KEY_FILE", str(machine.key_file))
    message = refusal(token_url=f"https://{host}/token")
    assert message.count(f"not read, because its keys are not for {host}") == 3


@pytest.mark.parametrize("host", ["sidefx.com", "WWW.SideFX.com:443", "localhost:1", "127.0.0.1", "[::1]:8443"])
def test_vendor_files_are_read_for_sidefx_and_loopback(host: str, machine: Machine) -> None:
    machine.write(machine.system_ini, f"APIKey = id {SECRET}")
    assert pair(find(None, None, token_url=f"https://{host}/token")) == ("id", SECRET)


def test_incomplete_credentials_raise_config_error(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal("id", None).startswith("Credentials from arguments: the client secret is missing")
    assert refusal(None, SECRET).startswith("Credentials from arguments: the client id is missing")
    half = "machine www.sidefx.com login id\n" if sys.version_info >= (3, 11) else ""
    machine.write(machine.netrc, half)
    if half:
        assert "the client secret is missing" in refusal()
    for content in ("ClientID = id", "APIKey = id", f"ClientID = id\nClientID = b\nClientSecret = {SECRET}"):
        machine.write(machine.user_ini, content)
        assert "hserver.ini: the client secret is missing" in refusal()
    machine.write(machine.user_ini, f"ClientSecret = {SECRET}\nAPIKey = whole pair")
    assert "hserver.ini: the client id is missing" in refusal()
    machine.write(machine.key_file, f"{SECRET}\nwhole pair")
    monkeypatch.setenv("HOUDINI_API_KEY_FILE", str(machine.key_file))
    assert "keys.txt: the client secret is missing" in refusal()
    monkeypatch.setenv("SIDEFX_CLIENT_SECRET", SECRET)
    assert refusal().startswith("Credentials from SIDEFX_CLIENT_ID and SIDEFX_CLIENT_SECRET: the client id is missing")


@pytest.mark.parametrize(
    ("client_id", "client_secret", "reason"),
    [
        ("", SECRET, "the client id is blank"),
        ("id", "  ", "the client secret is blank"),
        ("id\n", SECRET, "the client id has a line break"),
        ("id", SECRET + "\r\nX: y", "the client secret has a line break"),
        ("id", SECRET + "\0", "the client secret has a line break or another character"),
        ("id", SECRET + "\udc80", "the client secret has a line break or another character"),
        ("i:d", SECRET, "the client id has a colon"),
        (b"id", SECRET, "the client id must be a str, not bytes"),
        ("id", SECRET.encode(), "the client secret must be a str, not bytes"),
        ("id", [SECRET], "the client secret must be a str, not list"),
        (7, SECRET, "the client id must be a str, not int"),
    ],
)
def test_credentials_that_basic_cannot_carry_raise(client_id: object, client_secret: object, reason: str) -> None:
    assert reason in refusal(client_id, client_secret)


# The secret shows nowhere


def test_secret_is_hidden_in_repr_vars_and_pickle() -> None:
    found = find("id", SECRET, token_url=SIDEFX)
    assert repr(found) == "Credentials(client_id='id', source='arguments')"
    assert SECRET not in repr(vars(found))
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be copied or pickled"):
            attempt(found)


WORDS = b"ClientID ClientSecret APIKey APIKeyFile = ; # [x] \n \r\n \0 \xef\xbb\xbf \xff\xfe \" ' \\ machine default"
WORDS += b" login password account macdef www.sidefx.com id " + SECRET.encode()


@examples(300)
@given(
    place=st.sampled_from(("key_file", "system_ini", "user_ini", "netrc")),
    content=st.binary(max_size=80) | st.lists(st.sampled_from(WORDS.split(b" ")), max_size=16).map(b" ".join),
)
def test_any_file_content_gives_credentials_or_config_error(place: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as monkeypatch:
        machine = Machine(Path(directory), "linux", monkeypatch)
        machine.write(getattr(machine, place), content)
        if place == "key_file":
            monkeypatch.setenv("HOUDINI_API_KEY_FILE", str(machine.key_file))
        try:
            found = find(None, None, token_url=SIDEFX)
        except ConfigError as error:
            assert SECRET not in str(error)  # noqa: PT017
        else:
            pair(found)
