"""A client of the local server that uses requests alone."""

from __future__ import annotations

import json
from typing import Any

import requests

from sidefx_client.testing import LocalServer

LINUX = {"product": "houdini", "version": "20.5", "platform": "linux"}


class Visitor:
    """A minimal client: one session, one token."""

    def __init__(self, server: LocalServer) -> None:
        self.server = server
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = server.ca_bundle or True
        self.pair = (server.client_id, server.client_secret)
        self.headers: dict[str, str] = {}

    def __enter__(self) -> Visitor:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.session.close()

    def token(self) -> requests.Response:
        response = self.session.post(self.server.access_token_url, auth=self.pair)
        if response.ok:
            self.headers = {"Authorization": f"Bearer {response.json()['access_token']}"}
        return response

    def call(self, name: str, /, *args: Any, **kwargs: Any) -> requests.Response:
        if self.server.authenticate and not self.headers:
            self.token()
        return self.post([name, args, kwargs])

    def post(self, call: Any, files: dict[str, Any] | None = None) -> requests.Response:
        body = {"json": json.dumps(call)}
        return self.session.post(self.server.endpoint_url, data=body, files=files, headers=self.headers)

    def offer(self, build: str = "production") -> dict[str, Any]:
        offer: dict[str, Any] = self.call("download.get_daily_build_download", build=build, **LINUX).json()
        return offer
