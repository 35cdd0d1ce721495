"""Fixtures of the whole suite. They hide the user's credentials, proxies and home, and allow loopback only."""

from __future__ import annotations

import gc
import os
import re
import signal
import socket
import sys
from collections.abc import Iterator
from typing import Any, Callable

import pytest

from sidefx_client import retry
from sidefx_client.downloads import remote, workers

SCRUBBED = ("HOUDINI_API_KEY_FILE", "NETRC", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")

Watcher = Callable[[Any], None]
_watchers: list[Watcher] = []


def pytest_configure(config: pytest.Config) -> None:
    # A shell starts background jobs with SIGINT ignored, and children inherit that, so Ctrl-C tests would fail.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # The plugin of an installed package is registered by its entry point. A bare checkout has no entry point.
    if not config.pluginmanager.has_plugin("sidefx_client"):
        config.pluginmanager.import_plugin("sidefx_client.testing.pytest_plugin")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("slow") and "slow" not in config.option.markexpr:
            item.add_marker(pytest.mark.skip(reason="slow: run with pytest -m slow"))


@pytest.fixture(autouse=True)
def _scrubbed(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    home = str(tmp_path_factory.mktemp("home"))
    for name in list(os.environ):
        if name.startswith(("SIDEFX_", "XDG_")) or name.upper().endswith("_PROXY") or name in SCRUBBED:
            monkeypatch.delenv(name)
    # On Windows platformdirs asks the system for the cache's folder, unless the last variable is set.
    for name in ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "WIN_PD_OVERRIDE_LOCAL_APPDATA"):
        monkeypatch.setenv(name, home)


@pytest.fixture(autouse=True)
def _short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "BACKOFF", 0.01)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the read timeout and the backoff of downloads."""
    monkeypatch.setattr(remote, "TIMEOUT", (10.0, 1.0))
    monkeypatch.setattr(workers, "BACKOFF", 0.01)


@pytest.fixture(scope="module")
def stage() -> Iterator[Any]:
    """Return one server and one service for all examples of a module of property tests."""
    from support.stage import Stage  # imports Hypothesis, which most tests do not need

    stage = Stage()
    yield stage
    stage.close()


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Disable garbage collection, because finalizers cannot run at the recursion limit that deep JSON reaches."""
    gc.collect()
    if os.environ.get("HYPOTHESIS_PROFILE") != "long":
        gc.disable()
    yield
    gc.enable()


@pytest.fixture
def on_connect() -> Iterator[Callable[[Watcher], None]]:
    """Return a function that registers callbacks. Each is called with the address before this process connects."""
    yield _watchers.append
    _watchers.clear()


@pytest.fixture
def connects(on_connect: Callable[[Watcher], None]) -> list[Any]:
    """Return the list of addresses that this process connects to, in order."""
    addresses: list[Any] = []
    on_connect(addresses.append)
    return addresses


def _allow_loopback_only(event: str, args: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        _require_loopback(args[1][0] if isinstance(args[1], tuple) else "")
        for watcher in _watchers:
            watcher(args[1])
    elif event == "socket.getaddrinfo":
        _require_loopback(args[0])


def _require_loopback(host: Any) -> None:
    name = host.decode() if isinstance(host, bytes) else (host or "")
    if name.endswith(".invalid"):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    if not re.fullmatch(r"(localhost(\.localdomain)?|127\.[\d.]+|::1)?", name):
        pytest.fail(f"a test tried to reach {name}")


sys.addaudithook(_allow_loopback_only)
