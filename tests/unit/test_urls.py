"""Tests of urls: which URLs may receive secrets, and which part of a URL is shown. For unsafe URLs see A7."""

from __future__ import annotations

import pytest
import urllib3

from sidefx_client.urls import is_loopback, origin, require_safe_url, why_unsafe

SAFE = (
    "https://www.sidefx.com/api/", "HTTPS://WWW.SIDEFX.COM/api/", "https://[2001:db8::1]:8443/api/",
    "https://www.sidefx.com/päth/?q=ä", "http://127.0.0.1:1714/api", "http://localhost/api", "http://[::1]:1714/api",
)  # fmt: skip


@pytest.mark.parametrize("url", SAFE)
def test_https_and_loopback_http_are_safe(url: str) -> None:
    assert require_safe_url(url, "endpoint_url") == url


@pytest.mark.parametrize("url", ["http://evil.com\\.localhost/api/", "https://evil.com\\.sidefx.com/token"])
def test_host_that_urllib3_parses_differently_is_unsafe(url: str) -> None:
    assert urllib3.util.parse_url(url).host == "evil.com"
    assert why_unsafe(url, "endpoint_url")


@pytest.mark.parametrize("url", ["https://*.example/", "https://.example/", "https://[v1.x]/"])
def test_host_that_requests_refuses_is_unsafe(url: str) -> None:
    assert "invalid host name" in (why_unsafe(url, "endpoint_url") or "")


def test_messages_hide_password_and_query() -> None:
    for url in ("http://api.example/?signature=5ec4e7", "https://someone:5ec4e7@api.example/", "https://h:5ec4e7/"):
        assert "5ec4e7" not in (why_unsafe(url, "url") or "5ec4e7")


def test_origin_is_scheme_host_and_port() -> None:
    assert origin("https://someone:secret@proxy.example/") == "https://proxy.example"
    assert origin("http://[::1]:1714/api") == "http://[::1]:1714"
    assert origin("https://h:port/") == origin("") == "an unreadable address"


def test_loopback_hosts_are_localhost_127_and_1() -> None:
    others = ("a.localhost", "0.0.0.0", "128.0.0.1", "notlocalhost", "localhost.example", "", None)
    assert [is_loopback(host) for host in ("localhost", "127.8.8.8", "::1")] == [True] * 3
    assert [is_loopback(host) for host in others] == [False] * 7
