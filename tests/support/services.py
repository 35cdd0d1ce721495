"""The factory of services for a scripted server."""

from __future__ import annotations

import time
from typing import Any

import sidefx_client as sidefx
from support.scripted import ScriptedServer


def service_of(server: ScriptedServer, **options: Any) -> Any:
    """Return a service with a valid token and a short backoff. ``options`` replace the defaults."""
    known: dict[str, Any] = {
        "client_id": "an-id",
        "client_secret_key": "a-secret",
        "access_token_url": server.token_url,
        "endpoint_url": server.api_url,
        "access_token": "given-token",
        "access_token_expiry_time": time.time() + 3600,
    }
    if "session" not in options:
        known["ca_bundle"] = server.ca_bundle
    service = sidefx.service(**{**known, **options})
    service._client.backoff = 0.01
    return service
