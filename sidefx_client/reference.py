"""The functions of the vendor's reference wrapper that scripts call directly, with its names and parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import requests

from .api_errors import error_message
from .proxy import Service, call, service
from .sealed import seal
from .transport.session import DEFAULT_TIMEOUT, Timeout


def get_access_token_and_expiry_time(
    access_token_url: str, client_id: str, client_secret_key: str, timeout: Timeout = DEFAULT_TIMEOUT
) -> tuple[str | None, float | None]:
    """A new access token, and until when it is good in seconds since the epoch (None where the server does not say).

    Raises ConfigError, AuthorizationError or TransportError.
    """
    given = seal(client_id, client_secret_key)
    del client_id, client_secret_key  # in no frame that raises
    with service(*given(), access_token_url=access_token_url, timeout=timeout) as made:
        return made.access_token, made.access_token_expiry_time


def call_api_with_access_token(
    endpoint_url: str,
    access_token: str,
    function_name: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    timeout: Timeout = DEFAULT_TIMEOUT,
) -> Any:
    """One call over a connection of its own; a service makes many over one. Results and errors are the same."""
    given = seal(access_token, None)
    del access_token  # in no frame that raises
    with Service(endpoint_url, *given(), timeout) as made:
        return call(made, function_name, args, kwargs)


def _extract_traceback_from_response(response: requests.Response) -> str:
    """The text of an error: of a debug page the traceback alone."""
    return error_message(response.status_code, response.text)
