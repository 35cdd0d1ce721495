"""Tests of credential search: its places on every system, their formats, and that the secret is hidden."""

from __future__ import annotations

import base64
import copy
import os
import pickle
import re
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest

from sidefx_client.credentials import find as credentials
from sidefx_client.credentials import key_files
from sidefx_client.credentials.find import Credentials
from sidefx_client.credentials.key_files import MAX_FILE_SIZE
from sidefx_client.errors import ConfigError
from sidefx_client.secret import optional

SECRET = "s3cr3t"  # hidden in messages, reprs and our local variables
SIDEFX = "https://www.sidefx.com/oauth2/application_token"
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
    def check(client_id: str, source: object, *arguments: str) -> None:
        found = find(*arguments)
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
    check("one", "arguments", "one", SECRET)


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
    machine.set(SIDEFX_CLIENT_ID="", SIDEFX_CLIENT_SECRET="", HOUDINI_API_KEY_FILE="", NETRC="")
    assert refusal().splitlines() == lines  # empty variables count as unset


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        ("freebsd14", ["/usr/lib/sesi/hserver", "/h/.local/share/sidefx"]),
        ("darwin", ["/Library/Preferences/sesi/hserver", "/h/Library/Application Support/sidefx"]),
        ("win32", ["D:/ProgramData/SideFX", "D:/Users/me/AppData/Roaming/SideFX"]),
    ],
)
def test_hserver_ini_paths_of_each_system(system: str, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    if os.name == "nt" and system not in SYSTEMS:
        pytest.skip("these paths do not exist on Windows")
    monkeypatch.setattr(sys, "platform", system)
    for name, value in (("HOME", "/h"), ("SystemDrive", "D:"), ("USERPROFILE", "D:/Users/me")):
        monkeypatch.setenv(name, value)
    assert key_files.hserver_ini_paths() == [str(Path(directory, "hserver.ini")) for directory in expected]


KEY_LINES = [
    f"  id\t{SECRET}  \r\nother pair\r\n",
    f"\ufeffid {SECRET}\n",
    f"licenses.studio.example no key; notsidefx.com no key\n\nSideFX.com id {SECRET}; other pair",
    f"id {SECRET}\r\n".encode("utf-16"),
    f"\ufeffid {SECRET}\r\n".encode("utf-16-be"),
]
INI = [
    f"\ufeff[main]\r\nclientid = id\r\nclientsecret = {SECRET}\r\n",
    f"ClientSecret={SECRET}\nClientID=id\nClientID=second\nClientSecret=other\n",
    f"# a comment\n; another\nno value\nServerHost = x\nAPIKey = www.sidefx.com id {SECRET}; other pair",
    f"APIKey = licenses.studio.example no key\nAPIKey = id {SECRET}\nAPIKey = third pair",
    f"APIKey = other pair\nClientID = id\nClientSecret = {SECRET}",
    "ClientID=\nClientSecret=\nAPIKeyFile = nowhere\nAPIKeyFile = ~/keys",
]


@pytest.mark.parametrize(("place", "content"), [*(("key_file", c) for c in KEY_LINES), *(("user_ini", c) for c in INI)])
def test_every_format_of_the_vendors_files_is_read(place: str, content: str | bytes, machine: Machine) -> None:
    machine.write(machine.home / "keys", f"licenses.studio.example no key\nid {SECRET}\n")
    if isinstance(content, str):
        content = content.replace("~", str(machine.home))
    machine.write(getattr(machine, place), content)
    assert pair(find()) == ("id", SECRET)


@pytest.mark.parametrize("content", [None, "", "this is not a key", b"\xff\xfe", "\n" * MAX_FILE_SIZE + f"id {SECRET}"])
def test_unusable_key_file_raises_config_error(content: str | bytes | None, machine: Machine) -> None:
    machine.write(machine.user_ini, f"APIKey = id {SECRET}")
    machine.set(HOUDINI_API_KEY_FILE=f"id {SECRET}")  # people sometimes put the key itself in this variable
    if content is not None:
        machine.write(machine.key_file, content)
    assert refusal().startswith("HOUDINI_API_KEY_FILE names a file that ")


def test_hserver_ini_values_may_contain_separators(machine: Machine) -> None:
    machine.write(machine.system_ini, "ClientID=i=d;\nClientSecret = a=b:c;d#é\n")
    assert pair(find()) == ("i=d;", "a=b:c;d#é")


def test_files_without_a_usable_key_are_skipped_and_listed(machine: Machine) -> None:
    machine.write(machine.key_file, f"licenses.studio.example id {SECRET}\nsidefx.com.example id {SECRET}")
    machine.system_ini.mkdir(parents=True)
    machine.write(machine.user_ini, f"APIKeyFile = {SECRET}\nAPIKeyFile = a\0b\nAPIKey=studio.example no key")
    message = refusal()
    assert "HOUDINI_API_KEY_FILE: has no key for sidefx.com" in message
    assert re.search(r"hserver.ini: cannot be read \((Is a directory|Permission denied)\)", message)
    reasons = "its APIKeyFile does not exist, its APIKeyFile cannot be read (not a path)"
    assert f"hserver.ini: has no key for sidefx.com, {reasons}" in message
    machine.write(machine.netrc, f"machine www.sidefx.com login id password {SECRET}")
    assert pair(find()) == ("id", SECRET)


@pytest.mark.parametrize("name", [".netrc", "studio"])
def test_netrc_needs_an_entry_for_the_host(name: str, machine: Machine) -> None:
    if name == "studio":
        machine.write(machine.netrc, "machine tokens.studio.example login no password other")
        machine.set(NETRC="~/studio")
    entries = ("machine sidefx.com login no", "machine Tokens.Studio.Example login id", "default login no")
    machine.write(machine.home / name, "\n".join(f"{entry} password {SECRET}" for entry in entries))
    assert "has no entry for www.sidefx.com" in refusal()
    assert "has no entry for default" in refusal(token_url="https://default/token")
    assert pair(find(token_url="https://tokens.studio.example/token")) == ("id", SECRET)


def test_A12_netrc_may_begin_with_a_byte_order_mark(machine: Machine) -> None:
    entry = f"machine www.sidefx.com login id password {SECRET}"
    machine.write(machine.netrc, entry.encode("utf-8-sig"))
    assert pair(find()) == ("id", SECRET)
    machine.write(machine.netrc, entry.encode("utf-16"))
    assert ".netrc: cannot be read as a netrc file" in refusal()


OTHERS = ("notsidefx.com", "sidefx.com.example")


@pytest.mark.parametrize("host", [*OTHERS, "sidefx.com", "WWW.SideFX.com:443", "localhost:1", "[::1]:8443"])
def test_A6_vendor_files_are_read_for_sidefx_and_loopback_only(host: str, machine: Machine) -> None:
    for path in (machine.key_file, machine.system_ini, machine.user_ini):
        machine.write(path, f"APIKey = id {SECRET}" if path.suffix == ".ini" else f"id {SECRET}")
    url = f"https://{host}/token"
    if host in OTHERS:
        assert refusal(token_url=url).count(f"not read, because its keys are not for {host}") == 3
    else:
        assert pair(find(token_url=url)) == ("id", SECRET)


def test_incomplete_credentials_raise_with_their_place(machine: Machine) -> None:
    for content in ("APIKey = id", f"ClientID = id\nClientID = b\nClientSecret = {SECRET}"):
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
        ("", SECRET, "the client id is missing or blank"),
        ("id", "  ", "the client secret is missing or blank"),
        ("id", SECRET + "\r\nX: y", f"the client secret {UNPRINTABLE}"),
        ("id", SECRET + "\udc80", f"the client secret {UNPRINTABLE}"),
        ("id", SECRET + b"\xe9".decode(errors="replace"), f"the client secret {UNPRINTABLE}"),
        ("i:d", SECRET, f"the client id {UNPRINTABLE}"),
        (b"id", SECRET, "the client id must be a str, not bytes"),
        ("id", [SECRET], "the client secret must be a str, not list"),
    ],
)
def test_A8_credentials_that_basic_cannot_carry_raise(client_id: object, client_secret: object, reason: str) -> None:
    assert f"Credentials from arguments: {reason}" in refusal(client_id, client_secret)


def test_A12_white_space_around_credentials_is_removed_and_quotes_raise_with_the_variable(machine: Machine) -> None:
    machine.set(SIDEFX_CLIENT_ID="id ", SIDEFX_CLIENT_SECRET=f" {SECRET}\t")
    assert pair(find()) == ("id", SECRET)
    for quote in ("'", '"'):
        machine.set(SIDEFX_CLIENT_SECRET=f"{quote}{SECRET}{quote}")
        reason = f"SIDEFX_CLIENT_SECRET: the client secret is enclosed in quotes ({quote}): remove them"
        assert reason in refusal()


def test_secret_is_hidden_in_repr_vars_and_pickle() -> None:
    found = find("id", SECRET)
    assert SECRET not in repr(found) + repr(vars(found))
    for attempt in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="secret cannot be pickled"):
            attempt(found)
