"""The factory of services for a scripted server."""

from __future__ import annotations

import time
from typing import Any

import sidefx_client as sidefx
from support.scripted import ScriptedServer


def service_of(server: ScriptedServer | None = None, **options: Any) -> Any:
    """Return a service with a valid token. ``options`` replace the defaults."""
    defaults: dict[str, Any] = {
        "client_id": "an-id",
        "client_secret_key": "a-secret",
        "access_token": "given-token",
        "access_token_expiry_time": time.time() + 3600,
    }
    if server is not None:
        defaults.update(access_token_url=server.token_url, endpoint_url=server.api_url)
        if "session" not in options:
            defaults["ca_bundle"] = server.ca_bundle
    return sidefx.service(**{**defaults, **options})
