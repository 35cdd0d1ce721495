"""Checks of URLs, and the part of a URL that may be shown: without user, password and query."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urljoin, urlsplit

import requests

from .errors import ConfigError


def require_safe_url(url: str, parameter: str) -> str:
    """Return ``url`` if secrets may be sent there (https, or http to loopback), else raise ConfigError."""
    reason = why_unsafe(url, parameter)
    if reason:
        raise ConfigError(reason)
    return url


def why_unsafe(url: object, parameter: str) -> str | None:
    """Return why secrets must not be sent to ``url``, or None if they may. ``parameter`` names it in the message."""
    # urllib3 treats a backslash as the end of the host and urlsplit does not, so the check could be bypassed.
    if not isinstance(url, str) or not url.isprintable() or " " in url or "\\" in url:
        return f"{parameter} must be a URL in one line of text, without blanks or backslashes"
    parts = _split(url)
    if parts is None or not parts.hostname:
        return f"{parameter} has no host, or no valid port: write https://host/path"
    place = f"{parts.scheme}://{parts.hostname}"
    if parts.username is not None or parts.password is not None:
        return f"{parameter} for {place} contains a user or a password: pass credentials apart from the URL"
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        return f"{parameter} must begin with https:// (http:// only for loopback), not {place}"
    try:
        requests.Request("GET", url).prepare()
    except ValueError:  # such as a host name that IDNA refuses
        return f"{parameter} has an invalid host name: {place}"
    return None


def why_unusable_proxy(proxy: str) -> str | None:
    """Return why ``proxy`` cannot be used, or None. The message shows neither its user nor its password."""
    parts = _split(proxy)
    if parts is None or not parts.hostname:
        return "the proxy URL has no host, or no valid port: write http://host:port in HTTPS_PROXY or ALL_PROXY"
    if parts.scheme in ("socks4", "socks4a", "socks5", "socks5h"):
        try:
            import socks  # type: ignore[import-untyped,unused-ignore] # noqa: F401 (PySocks, which requests needs)
        except ImportError:
            return f"the SOCKS proxy {origin(proxy)} needs PySocks: pip install PySocks"
    elif parts.scheme not in ("http", "https"):
        schemes = "http, https, socks5 or socks5h"
        return f"the proxy {origin(proxy)} has the scheme {parts.scheme}: use {schemes} in HTTPS_PROXY or ALL_PROXY"
    return None


def origin(url: str, base: str = "") -> str:
    """Return ``scheme://host:port``, the only part of a URL that a message shows. It may be relative to ``base``."""
    parts = _split(url, base)
    if parts is None or not parts.hostname:
        return "an unreadable address"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")


def is_loopback(host: str | None) -> bool:
    """Return whether the host is localhost, in 127.0.0.0/8, or ::1."""
    try:
        address = ipaddress.ip_address(host or "")
    except ValueError:
        return host == "localhost"
    return address.is_loopback if address.version == 4 else str(address) == "::1"


def _split(url: str, base: str = "") -> SplitResult | None:
    try:
        parts = urlsplit(urljoin(base, url))
        _ = parts.port  # reading an invalid port raises
    except ValueError:
        return None
    return parts
