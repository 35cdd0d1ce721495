"""Which URLs we talk to, and what of a URL may be shown: never its user, its password or its query."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from urllib.parse import SplitResult, urlsplit

from .errors import ConfigError


def checked(url: str, what: str) -> str:
    """``url`` itself where secrets may go there: https, or http to this machine; else ConfigError naming ``what``."""
    reason = fault(url, what)
    if reason:
        raise ConfigError(reason)
    return url


def fault(url: object, what: str) -> str | None:
    """Why secrets may not go to ``url``; None where they may."""
    # A backslash ends the host for urllib3 and not for urlsplit: what is checked would not be what is asked.
    if not isinstance(url, str) or not url.isprintable() or " " in url or "\\" in url:
        return f"{what} must be a URL in one line of text, without blanks or backslashes"
    parts = _split(url)
    if parts is None or not parts.hostname:
        return f"{what} has no host, or no valid port: write https://host/path"
    place = f"{parts.scheme}://{parts.hostname}"
    if parts.username is not None or parts.password is not None:
        return f"{what} for {place} holds a user or a password: pass credentials apart from the URL"
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        return f"{what} must begin with https:// (http only to this machine), not {place}"
    return None


class Address:
    """A URL whose query, as that of a signed one, is a secret: it shows its origin only."""

    def __init__(self, url: str) -> None:
        self._url: Callable[[], str] = lambda: url

    def __repr__(self) -> str:
        return f"<Address at {origin(self._url())}>"

    def reveal(self) -> str:
        """The URL in clear."""
        return self._url()


def origin(url: str) -> str:
    """``https://host:port`` of a URL: all of it that a message may show."""
    parts = _split(url)
    if parts is None or not parts.hostname:
        return "an unreadable address"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")


def is_loopback(host: str | None) -> bool:
    """Whether the host is this machine: localhost, 127.0.0.0/8 or ::1."""
    if not host:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # read now: a bad one raises
    except ValueError:
        return None
    return parts
