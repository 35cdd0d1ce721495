"""The wheel: its files, its requirements, and that it works from a folder on sys.path."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest
import requests

import sidefx_client as sidefx
from sidefx_client.testing import LocalServer

PACKAGE = Path(sidefx.__file__).parent
INFORMATION = f"sidefx_client-{sidefx.__version__}.dist-info"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    build = pytest.importorskip("hatchling.build", reason="the build backend is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(Path(__file__).parents[2])
        return folder / str(build.build_wheel(str(folder)))


def test_wheel_contains_exactly_the_package_and_requires_only_requests_and_urllib3(wheel: Path) -> None:
    sources = {str(path.relative_to(PACKAGE.parent).as_posix()) for path in PACKAGE.rglob("*.py")}
    information = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
    expected = {*sources, "sidefx_client/py.typed", *(f"{INFORMATION}/{name}" for name in information)}
    assert set(zipfile.ZipFile(wheel).namelist()) == expected
    metadata = HeaderParser().parsestr(zipfile.ZipFile(wheel).read(f"{INFORMATION}/METADATA").decode())
    required = [text for text in metadata.get_all("Requires-Dist", []) if "extra ==" not in text]
    assert required == ["requests<3,>=2.28", "urllib3<3,>=1.26.12"]


def test_wheel_works_from_a_folder_on_sys_path(wheel: Path, tmp_path: Path) -> None:
    """As ``pip install --target`` makes it for an application's Python."""
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = (
        "import sys; sys.path += sys.argv[1:3]\nimport sidefx_client\nprint(sidefx_client.__file__)\n"
        "with sidefx_client.service('local-client-id', 'local-client-secret', *sys.argv[3:]) as service:\n"
        "    print(service.bugs.get_submission_options()['products'][0])"
    )
    libraries = str(Path(requests.__file__).parents[1])
    with LocalServer() as server:
        command = [sys.executable, "-I", "-S", "-W", "error", "-c", code, str(tmp_path), libraries]
        urls = [server.access_token_url, server.endpoint_url]
        done = subprocess.run([*command, *urls], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.split("\n")[0] == str(tmp_path / "sidefx_client" / "__init__.py")
