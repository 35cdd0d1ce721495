"""``service()``: a Service with its session, tokens and client."""

from __future__ import annotations

import os
from typing import Any

import requests

from .auth import given_token
from .client import Client
from .documented.suggest import explains_arguments
from .proxy import Service
from .secret import Secret, optional
from .transport.session import DEFAULT_TIMEOUT, Timeout, require_timeout


@explains_arguments(client_secret="client_secret_key", secret="client_secret_key")
def service(
    client_id: str | None = None,
    client_secret_key: str | None = None,
    access_token_url: str | None = None,
    endpoint_url: str | None = None,
    access_token: str | None = None,
    access_token_expiry_time: float | None = None,
    timeout: Timeout = DEFAULT_TIMEOUT,
    *,
    token_cache: str | os.PathLike[str] | None = None,
    session: requests.Session | None = None,
    retries: int = 3,
    ca_bundle: str | os.PathLike[str] | None = None,
) -> Service:
    """Return a Service with a valid token, which is requested now unless one is given or cached.

    client_id, client_secret_key: if they are omitted, the environment, the vendor's files and ~/.netrc are searched
    access_token_url, endpoint_url: other servers; default: SIDEFX_ACCESS_TOKEN_URL and SIDEFX_ENDPOINT_URL of the
        environment, else the vendor's
    access_token: a token to use; "" sends no Authorization header, for the local hserver
    access_token_expiry_time: its expiry in seconds since the epoch; None: used until the server rejects it
    timeout: seconds, (seconds to connect, seconds between bytes), or None to wait for ever
    token_cache: the path of a file that keeps tokens for other processes
    session: a requests.Session whose adapters, proxies, verify, cert and hooks are used
    retries: the greatest number of retries of a call, made only if they are safe
    ca_bundle: the path of a PEM file that replaces the public CA roots

    Raises ConfigError, AuthorizationError or TransportError. The pages: https://www.sidefx.com/docs/api/
    """
    given = client_id, optional(client_secret_key)
    token = optional(access_token)
    del client_secret_key, access_token  # frames that raise must not hold them
    options = {"token_cache": token_cache, "session": session, "retries": retries, "ca_bundle": ca_bundle}
    return make_service(given, token, access_token_expiry_time, access_token_url, endpoint_url, timeout, **options)


def make_service(
    given: tuple[str | None, Secret | None],
    token: Secret | None,
    token_expiry: float | None,
    access_token_url: str | None = None,
    endpoint_url: str | None = None,
    timeout: Timeout = DEFAULT_TIMEOUT,
    **options: Any,
) -> Service:
    """Do the work of ``service()``, which takes its secrets in plain text."""
    client = Client(given, given_token(token, token_expiry), access_token_url, endpoint_url, timeout, **options)
    try:
        client.tokens.get(require_timeout(timeout))
    except BaseException:
        client.session.close()
        raise
    return Service(client.endpoint_url, None, None, timeout, client=client)
