"""Tests of urls: which URLs may receive secrets, and which part of a URL is shown. For unsafe URLs see A7."""

from __future__ import annotations

import pytest
import urllib3

from sidefx_client.urls import is_loopback, origin, require_safe_url, why_unsafe

SIGNED = "https://files.sidefx.com:8443/a/build.tar.gz?signature=5ec4e7"


@pytest.mark.parametrize(
    "url",
    [
        "https://www.sidefx.com/api/",
        "HTTPS://WWW.SIDEFX.COM/api/",
        "https://[2001:db8::1]:8443/api/",
        "https://www.sidefx.com/päth/?q=ä",
        "http://127.0.0.1:1714/api",
        "http://localhost/api",
        "http://[::1]:1714/api",
    ],
)
def test_https_and_loopback_http_are_safe(url: str) -> None:
    assert require_safe_url(url, "endpoint_url") == url


@pytest.mark.parametrize("url", ["http://evil.com\\.localhost/api/", "https://evil.com\\.sidefx.com/token"])
def test_host_that_urllib3_parses_differently_is_unsafe(url: str) -> None:
    assert urllib3.util.parse_url(url).host == "evil.com"
    assert why_unsafe(url, "endpoint_url")


def test_messages_hide_password_and_query() -> None:
    for url in ("http://api.example/?signature=5ec4e7", "https://someone:5ec4e7@api.example/", "https://h:5ec4e7/"):
        assert "5ec4e7" not in (why_unsafe(url, "url") or "5ec4e7")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://someone:secret@proxy.example/", "https://proxy.example"),
        ("http://[::1]:1714/api", "http://[::1]:1714"),
        ("https://h:port/", "an unreadable address"),
        ("", "an unreadable address"),
    ],
)
def test_origin_is_scheme_host_and_port(url: str, shown: str) -> None:
    assert origin(url) == shown


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("a.localhost", False),
        ("127.8.8.8", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("128.0.0.1", False),
        ("notlocalhost", False),
        ("localhost.example", False),
        ("", False),
        (None, False),
    ],
)
def test_loopback_hosts(host: str | None, expected: bool) -> None:
    assert is_loopback(host) is expected
