"""Clients for small calls. Each function requests a token and returns a function that makes one call.

Imports are local, so that each worker process imports only its own client.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

Call = Callable[[], Any]

TEXT = '["echo.ping", [], {"x": 1}]'
BASIC = {"Authorization": "Basic " + base64.b64encode(b"id:secret").decode()}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def ours(base: str) -> Call:
    import sidefx_client as sidefx

    service = sidefx.service("id", "secret", f"{base}/token", f"{base}/api/")
    return lambda: service.echo.ping(x=1)


def vendor(base: str) -> Call:
    """Open a new session for each call, with an adapter that retries after 429, like the vendor's wrapper."""
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util.retry import Retry

    def post(path: str, headers: dict[str, str], fields: dict[str, str] | None = None) -> Any:
        again = Retry(total=3, status_forcelist=[429], allowed_methods=["POST"], backoff_factor=1)
        with requests.Session() as session:
            session.mount("https://", HTTPAdapter(max_retries=again))
            response = session.post(base + path, data=fields, headers=headers)
            response.raise_for_status()
            return response.json()

    token = post("/token", BASIC)["access_token"]
    return lambda: post("/api/", bearer(token), {"json": TEXT})


def requests_session(base: str) -> Call:
    import requests

    session = requests.Session()
    session.headers.update(bearer(session.post(f"{base}/token", headers=BASIC).json()["access_token"]))
    return lambda: session.post(f"{base}/api/", data={"json": TEXT}).json()


def urllib3_pool(base: str) -> Call:
    import os

    import urllib3

    pool = urllib3.PoolManager(maxsize=10, ca_certs=os.environ["REQUESTS_CA_BUNDLE"])
    token = json.loads(pool.request("POST", f"{base}/token", headers=BASIC).data)["access_token"]
    options: Any = {"fields": {"json": TEXT}, "encode_multipart": False, "headers": bearer(token)}
    return lambda: json.loads(pool.request("POST", f"{base}/api/", **options).data)


def httpx_client(base: str) -> Call:
    import httpx

    client = httpx.Client()
    client.headers.update(bearer(client.post(f"{base}/token", headers=BASIC).json()["access_token"]))
    return lambda: client.post(f"{base}/api/", data={"json": TEXT}).json()
