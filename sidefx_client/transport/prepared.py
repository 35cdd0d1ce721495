"""Requests as they go out: URL, headers, body, and authorization set last."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import requests
from requests.auth import AuthBase
from requests.utils import default_user_agent

from ..errors import ConfigError
from ..urls import Address
from ..version import __version__

_PYTHON = ".".join(map(str, sys.version_info[:3]))
USER_AGENT = f"sidefx-client/{__version__} {default_user_agent()} Python/{_PYTHON}"


def endpoint(url: str) -> requests.PreparedRequest:
    """A POST to ``url`` to make requests from: the URL is parsed once, not at every call."""
    return _prepared("POST", Address(url), {"Accept": "*/*", "Accept-Encoding": "gzip"})


def post(
    endpoint: requests.PreparedRequest, body: Any, length: int, content_type: str, auth: AuthBase
) -> requests.PreparedRequest:
    """A request to ``endpoint``. ``auth`` has the last word, so that no netrc file can replace its header."""
    request = endpoint.copy()
    request.body = body
    request.headers["Content-Length"] = str(length)
    request.headers["Content-Type"] = content_type
    return auth(request)


def get(address: Address, headers: Mapping[str, str]) -> requests.PreparedRequest:
    """A request for the bytes as they are stored; nothing in it tells who asks."""
    return _prepared("GET", address, {"Accept-Encoding": "identity", **headers})


def _prepared(method: str, address: Address, headers: Mapping[str, str]) -> requests.PreparedRequest:
    try:
        return requests.Request(method, address.reveal(), {"User-Agent": USER_AGENT, **headers}).prepare()
    except ValueError:  # requests' InvalidURL and its like: a host name that IDNA refuses
        pass
    raise ConfigError(f"cannot make a request of this URL: {address!r}")
