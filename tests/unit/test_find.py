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


def find(client_id: Any = None, client_secret_key: Any = None, *, token_url: str = SIDEFX) -> Credentials:
    return credentials.find(client_id, optional(client_secret_key), token_url=token_url)


class Machine:
    """A simulated system with its credential files below a temporary directory."""

    def __init__(self, root: Path, system: str, monkeypatch: pytest.MonkeyPatch) -> None:
        windows = system in ("win32", "cygwin")
        self.monkeypatch = monkeypatch
        self.home = root / "home"
        self.key_file = root / "keys.txt"
        self.netrc = self.home / ".netrc"
        self.system_ini = root / ("ProgramData/SideFX" if windows else "system") / "hserver.ini"
        user = {"linux": ".local/share/sidefx", "darwin": "Library/Application Support/sidefx"}
        self.user_ini = self.home / user.get(system, "AppData/Roaming/SideFX") / "hserver.ini"
        monkeypatch.setattr(sys, "platform", system)
        self.set(HOME=self.home, USERPROFILE=self.home, SystemDrive=root)
        if not windows:
            # The system's directory is absolute, so only the table can move it.
            directories = (str(self.system_ini.parent), key_files.HSERVER_INI[system][1])
            monkeypatch.setitem(key_files.HSERVER_INI, system, directories)

    def set(self, **variables: object) -> None:
        for name, value in variables.items():
            self.monkeypatch.setenv(name, str(value))

    def write(self, path: Path, content: str | bytes) -> None:
        """Write a file. A key file is named by the environment too."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        if path == self.key_file:
            self.set(HOUDINI_API_KEY_FILE=path)


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


def test_first_place_with_credentials_wins_and_is_named(machine: Machine) -> None:
    def check(client_id: str, source: object, found: Credentials | None = None) -> None:
        found = found or find()
        assert (pair(found), found.source) == ((client_id, SECRET), str(source))

    machine.write(machine.home / "_netrc", f"machine www.sidefx.com login seven password {SECRET}\n")
    check("seven", machine.home / "_netrc")
    machine.write(machine.netrc, f"machine www.sidefx.com login six password {SECRET}\n")
    check("six", machine.netrc)
    machine.write(machine.user_ini, f"ClientID = five\nClientSecret = {SECRET}\n")
    check("five", machine.user_ini)
    machine.write(machine.system_ini, f"APIKey = four {SECRET}\n")
    check("four", machine.system_ini)
    machine.write(machine.key_file, f"three {SECRET}\n")
    check("three", "HOUDINI_API_KEY_FILE")
    machine.set(SIDEFX_CLIENT_ID="two", SIDEFX_CLIENT_SECRET="", SIDEFX_CLIENT_SECRET_KEY=SECRET)
    check("two", "SIDEFX_CLIENT_ID and SIDEFX_CLIENT_SECRET_KEY")
    machine.set(SIDEFX_CLIENT_SECRET=SECRET, SIDEFX_CLIENT_SECRET_KEY="other")
    check("two", "SIDEFX_CLIENT_ID and SIDEFX_CLIENT_SECRET")
    check("one", "arguments", find("one", SECRET))


def test_empty_variables_count_as_unset(machine: Machine) -> None:
    machine.set(SIDEFX_CLIENT_ID="", SIDEFX_CLIENT_SECRET="", HOUDINI_API_KEY_FILE="", NETRC="")
    assert "SIDEFX_CLIENT_SECRET_KEY): not set" in refusal()


def test_A8_missing_credentials_error_lists_every_place(machine: Machine) -> None:
    lines = refusal().splitlines()
    files = [machine.system_ini, machine.user_ini, machine.netrc, machine.home / "_netrc"]
    assert lines[:-1] == [
        "No credentials for www.sidefx.com. Searched, in this order:",
        "  arguments: not given",
        "  SIDEFX_CLIENT_ID and SIDEFX_CLIENT_SECRET (or SIDEFX_CLIENT_SECRET_KEY): not set",
        "  HOUDINI_API_KEY_FILE: not set",
        *(f"  {file}: does not exist" for file in files),
    ]
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


KEY_LINES = [
    f"  id\t{SECRET}  \r\nother pair\r\n",
    f"\ufeffid {SECRET}\n",
    f"www.sidefx.com id {SECRET}",
    f"SideFX.com id {SECRET}",
    f"licences.studio.example no key; www.sidefx.com id {SECRET}; other pair",
    f"notsidefx.com no key\n\nid {SECRET}",
    f"id {SECRET}\r\n".encode("utf-16"),
    f"\ufeffid {SECRET}\r\n".encode("utf-16-be"),
]
INI = [
    f"ClientID=id\nClientSecret={SECRET}",
    f"\ufeff[main]\r\nclientid = id\r\nclientsecret = {SECRET}\r\n",
    f"ClientSecret={SECRET}\nClientID=id\nClientID=second\nClientSecret=other\n",
    f"# a comment\n; another\nno value\nServerHost = x\nAPIKey = id {SECRET}",
    f"APIKey = www.sidefx.com id {SECRET}; other pair\nAPIKey = third pair",
    f"APIKey = licences.studio.example no key\nAPIKey = id {SECRET}",
    f"APIKey = other pair\nClientID = id\nClientSecret = {SECRET}",
    "ClientID=\nClientSecret=\nAPIKeyFile = ~/keys",
    "APIKeyFile = nowhere\nAPIKeyFile = ~/keys",
]


@pytest.mark.parametrize(("place", "content"), [*(("key_file", c) for c in KEY_LINES), *(("user_ini", c) for c in INI)])
def test_formats_of_the_vendors_files(place: str, content: str | bytes, machine: Machine) -> None:
    machine.write(machine.home / "keys", f"licences.studio.example no key\nid {SECRET}\n")
    if isinstance(content, str):
        content = content.replace("~", str(machine.home))
    machine.write(getattr(machine, place), content)
    assert pair(find()) == ("id", SECRET)


def test_key_file_for_other_servers_is_skipped(linux: Machine) -> None:
    linux.write(linux.key_file, f"licences.studio.example id {SECRET}\nsidefx.com.example id {SECRET}")
    assert "HOUDINI_API_KEY_FILE: has no key for sidefx.com" in refusal()


UNENDING = "\n" * MAX_FILE_SIZE + f"id {SECRET}"


@pytest.mark.parametrize(
    "content", [None, "", "\n\n", "this is not a key", b"\xff\xfe", "directory", UNENDING], ids=range(7)
)
def test_unusable_key_file_raises_config_error(content: str | bytes | None, linux: Machine) -> None:
    linux.write(linux.user_ini, f"APIKey = id {SECRET}")
    if content == "directory":
        linux.key_file.mkdir()
        linux.set(HOUDINI_API_KEY_FILE=linux.key_file)
    elif content is not None:
        linux.write(linux.key_file, content)
    else:  # people sometimes put the key itself in this variable
        linux.set(HOUDINI_API_KEY_FILE=f"id {SECRET}")
    assert refusal().startswith("HOUDINI_API_KEY_FILE names a file that ")


def test_hserver_ini_values_may_contain_separators(machine: Machine) -> None:
    machine.write(machine.system_ini, "ClientID=i=d;\nClientSecret = a=b:c;d#é\n")
    assert pair(find()) == ("i=d;", "a=b:c;d#é")


def test_unreadable_hserver_ini_is_skipped_and_listed(machine: Machine) -> None:
    machine.system_ini.mkdir(parents=True)
    machine.write(machine.user_ini, f"APIKeyFile = {SECRET}\nAPIKeyFile = a\0b\nAPIKey=studio.example no key")
    message = refusal()
    assert re.search(r"hserver.ini: cannot be read \((Is a directory|Permission denied)\)", message)
    reasons = (
        "has no key for sidefx.com",
        "its APIKeyFile does not exist",
        "its APIKeyFile cannot be read (not a path)",
    )
    assert "hserver.ini: " + ", ".join(reasons) in message
    machine.write(machine.netrc, f"machine www.sidefx.com login id password {SECRET}")
    assert pair(find()) == ("id", SECRET)


def test_netrc_needs_an_entry_for_the_host(machine: Machine) -> None:
    names = ("machine sidefx.com login no", "machine Tokens.Studio.Example login id", "default login no")
    machine.write(machine.netrc, "\n".join(f"{name} password {SECRET}" for name in names))
    assert "has no entry for www.sidefx.com" in refusal()
    assert "has no entry for default" in refusal(token_url="https://default/token")
    assert pair(find(token_url=STUDIO)) == ("id", SECRET)


def test_A12_netrc_may_begin_with_a_byte_order_mark(linux: Machine) -> None:
    entry = f"machine www.sidefx.com login id password {SECRET}"
    linux.write(linux.netrc, entry.encode("utf-8-sig"))
    assert pair(find()) == ("id", SECRET)
    linux.write(linux.netrc, entry.encode("utf-16"))
    assert ".netrc: cannot be read as a netrc file" in refusal()


def test_netrc_variable_names_another_file(linux: Machine) -> None:
    linux.write(linux.netrc, "machine www.sidefx.com login no password other")
    linux.write(linux.home / "studio", f"machine www.sidefx.com login id password {SECRET}")
    linux.set(NETRC="~/studio")
    assert pair(find()) == ("id", SECRET)
    linux.set(NETRC=linux.home)
    assert f"{linux.home}: cannot be read as a netrc file" in refusal()


@pytest.mark.parametrize("host", ["tokens.studio.example", "notsidefx.com", "sidefx.com.example"])
def test_A6_vendor_files_are_not_read_for_other_hosts(host: str, machine: Machine) -> None:
    for path in (machine.key_file, machine.system_ini, machine.user_ini):
        machine.write(path, f"APIKey = id {SECRET}" if path.suffix == ".ini" else f"id {SECRET}")
    message = refusal(token_url=f"https://{host}/token")
    assert message.count(f"not read, because its keys are not for {host}") == 3


@pytest.mark.parametrize("host", ["sidefx.com", "WWW.SideFX.com:443", "localhost:1", "127.0.0.1", "[::1]:8443"])
def test_A6_vendor_files_are_read_for_sidefx_and_loopback(host: str, machine: Machine) -> None:
    machine.write(machine.system_ini, f"APIKey = id {SECRET}")
    assert pair(find(token_url=f"https://{host}/token")) == ("id", SECRET)


def test_incomplete_credentials_raise_with_their_place(machine: Machine) -> None:
    if sys.version_info >= (3, 11):
        machine.write(machine.netrc, "machine www.sidefx.com login id\n")
        assert "netrc: the client secret is missing" in refusal()
    for content in ("ClientID = id", "APIKey = id", f"ClientID = id\nClientID = b\nClientSecret = {SECRET}"):
        machine.write(machine.user_ini, content)
        assert "hserver.ini: the client secret is missing" in refusal()
    machine.write(machine.user_ini, f"ClientSecret = {SECRET}\nAPIKey = whole pair")
    assert "hserver.ini: the client id is missing" in refusal()
    machine.write(machine.key_file, f"{SECRET}\nwhole pair")
    assert "HOUDINI_API_KEY_FILE: the client secret is missing" in refusal()
    machine.set(SIDEFX_CLIENT_SECRET=SECRET)
    assert refusal().startswith("Credentials from SIDEFX_CLIENT_ID and SIDEFX_CLIENT_SECRET: the client id is missing")


UNPRINTABLE = "has a line break, a colon or another character"


@pytest.mark.parametrize(
    ("client_id", "client_secret", "reason"),
    [
        ("id", None, "the client secret is missing"),
        (None, SECRET, "the client id is missing"),
        ("", SECRET, "the client id is missing or blank"),
        ("id", "  ", "the client secret is missing or blank"),
        ("id\n", SECRET, f"the client id {UNPRINTABLE}"),
        ("id", SECRET + "\r\nX: y", f"the client secret {UNPRINTABLE}"),
        ("id", SECRET + "\0", f"the client secret {UNPRINTABLE}"),
        ("id", SECRET + "\udc80", f"the client secret {UNPRINTABLE}"),
        ("id", SECRET + b"\xe9".decode(errors="replace"), f"the client secret {UNPRINTABLE}"),
        ("i:d", SECRET, f"the client id {UNPRINTABLE}"),
        (b"id", SECRET, "the client id must be a str, not bytes"),
        ("id", SECRET.encode(), "the client secret must be a str, not bytes"),
        ("id", [SECRET], "the client secret must be a str, not list"),
        (0, SECRET, "the client id must be a str, not int"),
    ],
)
def test_A8_credentials_that_basic_cannot_carry_raise(client_id: object, client_secret: object, reason: str) -> None:
    assert f"Credentials from arguments: {reason}" in refusal(client_id, client_secret)


def test_A12_white_space_around_credentials_is_removed(linux: Machine) -> None:
    linux.set(SIDEFX_CLIENT_ID="id ", SIDEFX_CLIENT_SECRET=f" {SECRET}\t")
    assert pair(find()) == ("id", SECRET)


@pytest.mark.parametrize("quote", ["'", '"'])
def test_A12_quotes_around_credentials_raise_with_the_variable(linux: Machine, quote: str) -> None:
    linux.set(SIDEFX_CLIENT_ID="id", SIDEFX_CLIENT_SECRET=f"{quote}{SECRET}{quote}")
    reason = f"SIDEFX_CLIENT_SECRET: the client secret is enclosed in quotes ({quote}): remove them"
    assert reason in refusal()


def test_secret_is_hidden_in_repr_vars_and_pickle() -> None:
    found = find("id", SECRET)
    assert SECRET not in repr(found) + repr(vars(found))
    for attempt in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="secret cannot be pickled"):
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
        try:
            found = find()
        except ConfigError as error:
            assert SECRET not in str(error)  # noqa: PT017
        else:
            pair(found)
