"""The fixture in a project that has installed the extra."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support.downloads import ROOT

FIXTURE_USER = """
import os
import pytest
import requests
import sidefx_client as sidefx

VARIABLES = ("SIDEFX_CLIENT_ID", "SIDEFX_CLIENT_SECRET", "SIDEFX_ACCESS_TOKEN_URL", "SIDEFX_ENDPOINT_URL")

def call(server):
    return requests.post(server.endpoint_url, data={"json": '["farm.boom", [], {}]'}).status_code

def test_passes(sidefx_server):
    sidefx_server.authenticate = False
    assert (call(sidefx_server), len(sidefx_server.calls)) == (422, 1)

@pytest.mark.parametrize("acknowledged", [False, True])
def test_error(sidefx_server, acknowledged):
    sidefx_server.authenticate = False
    sidefx_server.register("farm.boom", lambda: 1 / 0)
    assert (call(sidefx_server), len(sidefx_server.calls)) == (500, 1)
    if acknowledged:
        sidefx_server.errors.clear()

def test_the_variables_are_set(sidefx_server):
    assert {name: os.environ[name] for name in VARIABLES} == sidefx_server.environment

def test_code_that_makes_its_own_service(sidefx_server):
    for service in (sidefx.service(), sidefx.Service(sidefx_server.endpoint_url, "revoked", None)):
        with service:
            assert service.bugs.get_submission_options()
    assert sidefx_server.token_requests == 2

def test_no_variable_is_left():
    assert not set(VARIABLES) & set(os.environ)
"""


def run_pytest(directory: Path, conftest: str = "") -> str:
    (directory / "conftest.py").write_text(conftest)
    (directory / "test_user.py").write_text(FIXTURE_USER)
    environment = {**os.environ, "PYTHONPATH": ROOT, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    plugins = ("-p", "no:sidefx_client", "-p", "sidefx_client.testing.pytest_plugin", "-p", "no:cacheprovider")
    command = [sys.executable, "-W", "error", "-m", "pytest", "-q", *plugins]
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True)
    return done.stdout + done.stderr


def test_the_fixture_is_new_for_each_test_and_fails_it_if_a_function_raises(tmp_path: Path) -> None:
    report = run_pytest(tmp_path)
    assert "6 passed, 1 error" in report
    assert "ERROR test_user.py::test_error[False] - ZeroDivisionError" in report


def test_loading_the_plugin_does_not_import_the_server_and_the_fixture_names_the_missing_extra(tmp_path: Path) -> None:
    conftest = "import sys\nassert 'cheroot' not in sys.modules\nsys.modules['cheroot'] = None"
    report = run_pytest(tmp_path, conftest)
    assert "5 errors" in report
    assert "needs cheroot: run pip install '.[testing]' in a clone of sidefx_client" in report
