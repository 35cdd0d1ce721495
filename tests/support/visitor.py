"""A client of the local server that uses requests alone."""

from __future__ import annotations

import json
from typing import Any

import requests

from sidefx_client.testing import LocalServer

LINUX = {"product": "houdini", "version": "20.5", "platform": "linux"}


class Visitor(requests.Session):
    """A session of requests. Its first call requests a token, if the server needs one."""

    def __init__(self, server: LocalServer) -> None:
        super().__init__()
        self.server = server
        self.trust_env = False
        self.verify = server.ca_bundle or True
        self.pair = (server.client_id, server.client_secret)

    def token(self) -> requests.Response:
        response = self.post(self.server.access_token_url, auth=self.pair)
        if response.ok:
            self.headers["Authorization"] = f"Bearer {response.json()['access_token']}"
        return response

    def call(self, name: str, /, *args: Any, **kwargs: Any) -> requests.Response:
        if self.server.authenticate and "Authorization" not in self.headers:
            self.token()
        return self.upload(None, name, *args, **kwargs)

    def upload(self, files: Any, name: str, /, *args: Any, **kwargs: Any) -> requests.Response:
        return self.post(self.server.endpoint_url, data={"json": json.dumps([name, args, kwargs])}, files=files)

    def offer(self, build: str = "production") -> dict[str, Any]:
        offer: dict[str, Any] = self.call("download.get_daily_build_download", build=build, **LINUX).json()
        return offer
