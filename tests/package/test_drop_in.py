"""Scripts and tests written for the vendor's sidefx.py run unchanged."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, patch

import pytest
from support.responses import sample
from support.scripted import ScriptedServer, http_response

import sidefx_client as sidefx
from sidefx_client.testing import LocalServer

ROOT = Path(__file__).parents[2]
REQUIRED = inspect.Parameter.empty

# Positional parameters in order, with the defaults of the vendor's module.
OPTIONS = {"access_token": None, "access_token_expiry_time": None, "timeout": sidefx.DEFAULT_TIMEOUT}
PLACES = dict.fromkeys(("client_id", "client_secret_key", "access_token_url", "endpoint_url"))
PARAMETERS: dict[str, dict[str, Any]] = {
    "service": {**PLACES, **OPTIONS},
    "_Service": {"endpoint_url": REQUIRED, **OPTIONS, "access_token": REQUIRED, "access_token_expiry_time": REQUIRED},
    "_APIFunction": {"function_name": REQUIRED, "service": REQUIRED},
    "File": {"filename": REQUIRED},
    "ResponseFile": {"response": REQUIRED},
    "AuthorizationError": {"http_code": REQUIRED, "message": REQUIRED},
    "APIError": {"http_code": REQUIRED, "message": REQUIRED},
    "get_access_token_and_expiry_time": {
        **dict.fromkeys(("access_token_url", "client_id", "client_secret_key"), REQUIRED),
        "timeout": sidefx.DEFAULT_TIMEOUT,
    },
    "call_api_with_access_token": {
        **dict.fromkeys(("endpoint_url", "access_token", "function_name", "args", "kwargs"), REQUIRED),
        "timeout": sidefx.DEFAULT_TIMEOUT,
    },
    "_extract_traceback_from_response": {"response": REQUIRED},
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_the_vendors(name: str) -> None:
    parameters = inspect.signature(getattr(sidefx, name)).parameters.values()
    positional = {p.name: p.default for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD}
    assert list(positional.items()) == list(PARAMETERS[name].items())


def test_objects_have_the_vendors_attributes_and_those_of_a_service_are_writable() -> None:
    assert (sidefx._Service, sidefx._APIFunction) == (sidefx.Service, sidefx.APIFunction)
    assert isinstance(sidefx.File, type)
    with sidefx._Service("http://127.0.0.1:1/api", "token", 1e10, timeout=5) as service:
        assert (service.endpoint_url, service.access_token) == ("http://127.0.0.1:1/api", "token")
        assert (service.access_token_expiry_time, service.timeout) == (1e10, 5)
        service.endpoint_url, service.access_token = "http://127.0.0.1:2/api", "another"
        service.access_token_expiry_time, service.timeout = 2e10, None
        assert (service.endpoint_url, service.access_token) == ("http://127.0.0.1:2/api", "another")
        assert (service.access_token_expiry_time, service.timeout) == (2e10, None)
        function = sidefx._APIFunction("a.b", service)
        assert (function.function_name, function.service) == ("a.b", service)
    assert sidefx.File("shot.hip").filename == "shot.hip"
    with sidefx.ResponseFile(response := sample("stream.http")) as file:
        assert file.response is response
    refused, failed = sidefx.AuthorizationError(403, "403: bad pair"), sidefx.APIError(422, "no such build")
    assert (refused.http_code, str(refused)) == (403, "403: bad pair")
    assert (failed.http_code, str(failed), failed.args) == (422, "422 no such build", ("no such build",))


def test_get_access_token_and_call_api_with_access_token_work(
    sidefx_server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SIDEFX_CLIENT_ID")  # otherwise the 401 below requests a new token
    monkeypatch.delenv("SIDEFX_CLIENT_SECRET")
    sidefx_server.register("a.b", lambda *args, **kwargs: [args, sorted(kwargs)])
    pair = sidefx_server.client_id, sidefx_server.client_secret
    token, expiry = sidefx.get_access_token_and_expiry_time(sidefx_server.standard_token_url, *pair, timeout=5)
    assert token
    assert 43000 < (expiry or 0) - time.time() < 43200
    with pytest.raises(sidefx.AuthorizationError, match=r"^403: "):
        sidefx.get_access_token_and_expiry_time(sidefx_server.access_token_url, "a", "b")
    kwargs = {"x": 1, "data": bytearray(b"bytes")}
    url = sidefx_server.endpoint_url
    result = sidefx.call_api_with_access_token(url, token, "a.b", [1], kwargs, timeout=5)
    assert result == [[1], ["data", "x"]]
    assert sorted(kwargs) == ["data", "x"]  # the caller's dict is unchanged
    sidefx_server.register("a.stream", lambda: b"bytes")
    with sidefx.call_api_with_access_token(url, token, "a.stream", [], {}) as file:
        assert file.read() == b"bytes"
    with pytest.raises(sidefx.APIError, match=r"^401 "):
        sidefx.call_api_with_access_token(url, "wrong", "a.b", (), {})


def test_extract_traceback_from_response_returns_the_traceback() -> None:
    for page in ("debug_page_old.http", "debug_page.http", "stack_trace.http"):
        text = sidefx._extract_traceback_from_response(sample(page))
        assert text.startswith("Traceback")
        assert "<newest>" in text
    assert sidefx._extract_traceback_from_response(sample("message.http")).startswith("There is no build 1")


SCRIPT = """
from __future__ import print_function
import os
import sidefx

service = sidefx.service(
    client_id=os.environ["SIDEFX_CLIENT_ID"],
    client_secret_key=os.environ["SIDEFX_CLIENT_SECRET"],
    access_token_url=os.environ["SIDEFX_ACCESS_TOKEN_URL"],
    endpoint_url=os.environ["SIDEFX_ENDPOINT_URL"],
)
service.hpack.upload_chunk(data=bytearray(b"chunk"), archive=sidefx.File(__file__))
with service.hpack.reserve_package_name(name="shelf") as stream:
    print(stream.read(5), stream.read())
try:
    service.download.get_daily_builds_list("houdini", "1.0")
except sidefx.APIError as error:
    print(error.http_code, str(error)[:7])
print(sidefx._Service, sidefx._extract_traceback_from_response.__name__)
"""
PRINTED = """\
b'reser' b'ved'
422 422 Unk
<class 'sidefx_client.proxy.Service'> _extract_traceback_from_response
"""


def test_vendor_script_runs_with_a_one_line_sidefx_py(sidefx_server: LocalServer, tmp_path: Path) -> None:
    sidefx_server.register("hpack.upload_chunk", lambda data, archive: len(data.data))
    sidefx_server.register("hpack.reserve_package_name", lambda name: b"reserved")
    (tmp_path / "sidefx.py").write_text("from sidefx_client import *\n")
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {**os.environ, **sidefx_server.environment, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "script.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.stderr, done.stdout) == ("", PRINTED)


@pytest.mark.parametrize("autospec", [False, True])
def test_user_test_can_patch_service(autospec: bool) -> None:
    with patch.object(sidefx, "service", autospec=autospec) as patched:
        patched.return_value = MagicMock(spec=sidefx._Service) if autospec else MagicMock()
        patched.return_value.download = MagicMock()
        patched.return_value.download.get_daily_builds_list.return_value = [{"build": "382"}]
        service = sidefx.service(client_id="an-id", client_secret_key="a-secret")
        assert service.download.get_daily_builds_list(product="houdini")[0]["build"] == "382"
    patched.assert_called_once_with(client_id="an-id", client_secret_key="a-secret")


def test_request_on_the_wire_is_the_vendors() -> None:
    with ScriptedServer([http_response(200, b"5", {"Content-Type": "application/json"})]) as server:
        assert sidefx.call_api_with_access_token(server.api_url, "token", "a.b", ("x",), {"y": 1}) == 5
        (request,) = server.requests
    assert request.header("Authorization") == "Bearer token"
    assert request.header("Content-Type") == "application/x-www-form-urlencoded"
    assert request.body == b"json=%5B%22a.b%22%2C+%5B%22x%22%5D%2C+%7B%22y%22%3A+1%7D%5D"
