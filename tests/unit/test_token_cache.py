"""Tests of TokenCache. For processes and unsafe files see A9 and C6 in faults."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import sidefx_client as sidefx
from sidefx_client.credentials.token_cache import TokenCache
from sidefx_client.secret import Secret

URL = "https://www.sidefx.com/oauth2/application_token"
CLIENT = "client-id"
TOKEN = "t0ken-in-clear"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made" / "tokens.json"


def soon() -> float:
    return time.time() + 3600


def write(path: Path, content: bytes) -> TokenCache:
    """Return a cache with a private file of this content."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o600)
    return TokenCache(path, URL)


def entry(token: Any = TOKEN, expiry: Any = None) -> bytes:
    fields = {"access_token": token, "expiry": soon() if expiry is None else expiry}
    return json.dumps({f"{URL} {CLIENT}": fields}).encode()


def kept(cache: TokenCache, client_id: str) -> tuple[str, float] | None:
    """Return the token in plain text, with its expiry."""
    found = cache.get(client_id)
    return None if found is None else (found[0].reveal(), found[1])


def test_token_is_cached_per_client_and_token_url_until_it_expires(path: Path) -> None:
    expiry = soon()
    TokenCache(path, URL).put("expired", Secret("older"), time.time() - 1)
    TokenCache(path, URL).put(CLIENT, Secret(TOKEN), expiry)
    TokenCache(path, URL).put("another", Secret("its-own"), expiry)
    TokenCache(path, URL + "/").put(CLIENT, Secret("elsewhere"), expiry)
    assert list(json.loads(path.read_text())) == [f"{URL} {CLIENT}", f"{URL} another", f"{URL}/ {CLIENT}"]
    assert kept(TokenCache(path, URL), CLIENT) == (TOKEN, expiry)
    assert kept(TokenCache(path, URL), "another") == ("its-own", expiry)
    assert kept(TokenCache(path, URL + "/"), CLIENT) == ("elsewhere", expiry)
    assert kept(TokenCache(path, URL + "/"), "another") is None


GARBAGE = (b"", b"{", b"null", b'{"a": {"access_token": 5}}', b"[" * 100_000, b"9" * 10_000, b" " * (2 << 20))
EXPIRIES: tuple[Any, ...] = (0, 10**400, 5e9, True, "9e9", [], float("nan"), float("inf"))
TOKENS = ("", "two words", "é", 1, None)


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize(
    "content", [*GARBAGE, *(entry(expiry=each) for each in EXPIRIES), *map(entry, TOKENS)], ids=range(20)
)
def test_A9_garbage_is_ignored_and_replaced(path: Path, caplog: pytest.LogCaptureFixture, content: bytes) -> None:
    cache = write(path, content)
    assert cache.get(CLIENT) is None
    cache.put(CLIENT, Secret(TOKEN), expiry := soon())
    assert kept(cache, CLIENT) == (TOKEN, expiry)
    assert caplog.messages == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither mode bits nor owners")
def test_windows_ignores_mode_bits(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = write(path, entry())
    path.chmod(0o666)
    assert cache.get(CLIENT) is None
    monkeypatch.setattr(sys, "platform", "win32")
    assert cache.get(CLIENT) is not None


@pytest.mark.parametrize("odd", ["", "nul\0byte", "sur\udc80rogate/\ud800", "/dev/null/x", "x" * 5000])
def test_unusable_path_logs_a_warning(
    odd: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    cache = TokenCache(odd, URL)
    cache.put(CLIENT, Secret(TOKEN), soon())
    assert cache.get(CLIENT) is None
    assert len(caplog.messages) == 1
    assert list(tmp_path.rglob("*")) == []


def test_A13_tilde_is_expanded_and_any_other_value_than_a_file_raises_config_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    TokenCache("~/made/tokens.json", URL).put(CLIENT, Secret(TOKEN), soon())
    assert kept(TokenCache(tmp_path / "made" / "tokens.json", URL), CLIENT) is not None
    for odd in (tmp_path, str(tmp_path), "~/made", "~/made/", 5, b"bytes", True, ["list"]):
        with pytest.raises(sidefx.ConfigError, match="token_cache must be the path of a file, not"):
            sidefx.service("id", "secret", token_cache=odd)  # type: ignore[arg-type]


@pytest.mark.parametrize("function", ["open_own", "_text", "AtomicFile.write"])
def test_ctrl_c_does_not_expose_the_token_in_locals(path: Path, function: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: Any) -> None:
        raise KeyboardInterrupt

    cache = write(path, entry())
    monkeypatch.setattr(f"sidefx_client.credentials.token_cache.{function}", interrupt)
    with pytest.raises(KeyboardInterrupt) as interrupted:
        cache.put(CLIENT, Secret(TOKEN), soon())
    ours = [entry.frame.f_locals for entry in interrupted.traceback if Path(entry.path).name == "token_cache.py"]
    assert ours
    assert TOKEN not in repr(ours)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not replace an open file")
def test_cache_that_is_replaced_while_it_is_opened_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, open_file = write(path, entry()), os.open

    def replaced_at_once(*args: Any) -> int:
        descriptor = open_file(*args)
        os.replace(shutil.copy2(path, path.with_name("new")), path)
        return descriptor

    monkeypatch.setattr(os, "open", replaced_at_once)
    assert cache.get(CLIENT) is not None
