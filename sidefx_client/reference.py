"""Functions of the vendor's reference wrapper that scripts call directly, with its names and parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import requests

from .proxy import Service, call, service
from .secret import Secret
from .transport.session import DEFAULT_TIMEOUT, Timeout
from .wire import error_message


def get_access_token_and_expiry_time(
    access_token_url: str, client_id: str, client_secret_key: str, timeout: Timeout = DEFAULT_TIMEOUT
) -> tuple[str | None, float | None]:
    """Request an access token; return it with its expiry in seconds since the epoch (None if that is not known).

    Raises ConfigError, AuthorizationError or TransportError.
    """
    secret: Any = Secret(client_secret_key)
    del client_secret_key  # frames that raise must not hold it
    with service(client_id, secret, access_token_url, timeout=timeout) as made:
        return made.access_token, made.access_token_expiry_time


def call_api_with_access_token(
    endpoint_url: str,
    access_token: str,
    function_name: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    timeout: Timeout = DEFAULT_TIMEOUT,
) -> Any:
    """Make one call over a connection of its own. Result and errors are those of a service's call."""
    token: Any = Secret(access_token)
    del access_token  # frames that raise must not hold it
    with Service(endpoint_url, token, None, timeout) as made:
        return call(made, function_name, args, kwargs)


def _extract_traceback_from_response(response: requests.Response) -> str:
    """Return the message of an error response. That of a debug page is its traceback."""
    return error_message(response.status_code, response.text)
