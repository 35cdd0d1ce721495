"""The documented functions of the local server with their made-up data, and the files of builds behind signed URLs."""

from __future__ import annotations

import hashlib
import inspect
import time
from typing import Any

import pytest
import requests
from support.visitor import LINUX, Visitor

from sidefx_client.documented import functions as catalogue
from sidefx_client.documented import help as help_text

BUILDS, BUILD = "download.get_daily_builds_list", "download.get_daily_build_download"
LICENSE, CHANGES = "license.get_non_commercial_license", "changelog.get_latest_changelog_entries"


def numbers(visitor: Visitor, *args: Any, **kwargs: Any) -> list[str]:
    return [build["build"] for build in visitor.call(BUILDS, *args, **kwargs).json()]


def test_the_local_server_has_the_documented_functions_with_their_parameters(plain: Visitor) -> None:
    def shape(signature: inspect.Signature) -> list[tuple[Any, ...]]:
        return [(p.name, p.kind, p.default) for p in signature.parameters.values()]

    documented = {f"{module}.{name}" for module in catalogue.MODULES for name in catalogue.functions(module)}
    table = plain.server._application.functions.table
    assert set(table) == documented
    for name, function in table.items():
        signature = help_text.signature(name)
        assert signature is not None
        assert shape(inspect.signature(function)) == shape(signature), name


def test_builds_are_filtered_and_sorted_as_strings(plain: Visitor) -> None:
    assert numbers(plain, **LINUX) == ["99", "601", "583", "445", "278", "1002"]
    assert numbers(plain, **LINUX, only_production=True) == ["583", "445", "278"]
    builds = plain.call(BUILDS, "houdini").json()
    assert {build["version"] for build in builds} == {"19.5", "20.0", "20.5", "21.0", "22.0"}
    assert {build["status"] for build in builds} == {"good", "bad"}
    first = {"build": "99", "date": "2026/04/09", "platform": "linux_arm64_gcc14.2", "product": "houdini"}
    assert builds[0] == {**first, "release": "devel", "status": "good", "version": "22.0"}
    assert numbers(plain, "docker", "20.5", "win64", only_production=True) == numbers(plain, "docker", "20.5")


@pytest.mark.parametrize(
    ("version", "platform", "expected"),
    [
        ("20.0", "linux", {"linux_x86_64_gcc11.2", "linux_x86_64_gcc9.3"}),
        ("20.0", "linux_x86_64_gcc9.3", {"linux_x86_64_gcc9.3"}),
        ("20.0", "macos", {"macosx_x86_64_clang14.0_13"}),
        ("20.5", "macosx_arm64", {"macosx_arm64_clang15.0_14"}),
        ("22.0", "linux_arm64", {"linux_arm64_gcc14.2"}),
        ("22.0", "win64", {"win64-vc143"}),
        ("20.5", "linux_arm64", set()),
    ],
)
def test_platforms_have_a_short_and_a_long_form(plain: Visitor, version: str, platform: str, expected: Any) -> None:
    builds = plain.call(BUILDS, "houdini", [version], platform).json()
    assert {build["platform"] for build in builds} == expected


def test_unknown_products_have_no_builds_unless_the_test_limits_products(plain: Visitor) -> None:
    assert numbers(plain, "houdini-py314") == []
    assert "There is no build" in plain.call(BUILD, "new", "20.5", 1, "linux").text
    plain.server.products = ["houdini", "docker"]
    response = plain.call(BUILDS, "houdini-py314")
    told = "Unknown product 'houdini-py314'. Use one of houdini, docker."
    assert (response.status_code, response.text) == (422, told)
    assert numbers(plain, "docker", "20.5")


def test_the_production_build_is_the_newest_gold_build_by_number(plain: Visitor) -> None:
    offer = plain.offer()
    filename = "houdini-20.5.583-linux_x86_64_gcc11.2.tar.gz"
    assert offer.pop("download_url").startswith(f"{plain.server.url}/download/{filename}")
    assert len(offer.pop("hash")) == 32
    known = {"date": "2025/04/17", "releases_list": "gold", "size": 1 << 20, "status": "good"}
    assert offer == {**known, "filename": filename}
    assert plain.offer("1002")["status"] == "bad"
    newest = plain.call(BUILD, build="production", **{**LINUX, "version": "20.0"}).json()
    assert newest["filename"] == "houdini-20.0.1007-linux_x86_64_gcc11.2.tar.gz"


@pytest.mark.parametrize(
    ("name", "kwargs", "words"),
    [
        ("no.such", {}, "Unknown API function: no.such"),
        (BUILDS, {"product": "houdini", "build": "1"}, "build"),
        (BUILDS, {"product": "houdini", "version": 20.5}, "a string such as '20.5'"),
        (BUILDS, {"product": "houdini", "version": "1.0"}, "Unknown version '1.0'"),
        (BUILDS, {"product": "houdini", "platform": "macosx"}, "Use one of win64, macos,"),
        (BUILD, {**LINUX, "build": 1}, "no build 1 of houdini 20.5 for linux"),
        (LICENSE, {}, "server_name"),
        (LICENSE, {"server_name": "a", "server_code": "b", "products": "FX"}, "Use one of HOUDINI-NC, RENDER-NC"),
        (CHANGES, {"version": "9"}, "Unknown version '9'"),
    ],
)
def test_wrong_arguments_are_a_422_in_words(plain: Visitor, name: str, kwargs: dict[str, Any], words: str) -> None:
    response = plain.call(name, **kwargs)
    assert response.status_code == 422
    assert words in response.text


def test_license_keys_are_plainly_fake(plain: Visitor) -> None:
    machine = {"server_name": "box", "server_code": "1a2b3c4d", "products": "HOUDINI-NC;RENDER-NC"}
    response = plain.call(LICENSE, **machine).json()
    assert len(response["license_keys"]) == 2
    assert all("box FAKE-" in key for key in response["license_keys"])
    assert response["server_key"].startswith("SERVER box 1a2b3c4d FAKE-")


def test_an_issue_is_confirmed_or_refused(plain: Visitor) -> None:
    issue = dict.fromkeys(("product", "category", "os", "version", "summary", "description"), "x")
    issue.update(priority="SEV3", type="RFE")
    first, second = (plain.call("bugs.submit_issue", **issue).json() for _ in range(2))
    assert second["id"] == first["id"] + 1
    for change in ({"priority": "SEV6"}, {"type": "rant"}, {"summary": "x" * 101}, {"os": ""}):
        assert plain.call("bugs.submit_issue", **{**issue, **change}).status_code == 422


def test_the_changelog_is_of_the_last_days(plain: Visitor) -> None:
    entries = plain.call(CHANGES, "20.5").json()
    assert (entries[1]["version"], entries[1]["build"]) == ("20.5.1001", 1001)
    assert all(entry["title"].startswith(f"{entry['version']}: ") for entry in entries)
    assert {tuple(sorted(entry)) for entry in entries} == {("build", "description", "pubdate", "title", "version")}
    days = [time.mktime(time.strptime(entry["pubdate"], "%Y/%m/%d")) for entry in entries]
    assert min(days) > time.time() - 7 * 86400


# The files of builds


def test_a_build_file_has_its_size_and_hash(visitor: Visitor) -> None:
    offer = visitor.offer()
    content = requests.get(offer["download_url"], verify=visitor.session.verify).content
    assert len(content) == offer["size"]
    assert hashlib.md5(content, usedforsecurity=False).hexdigest() == offer["hash"] != visitor.offer("445")["hash"]
    assert [download.filename for download in visitor.server.downloads] == [offer["filename"]]


def test_ranges_of_a_build_are_served_if_the_validator_matches(plain: Visitor) -> None:
    url = plain.offer()["download_url"]
    whole = plain.session.get(url)
    etag, date = whole.headers["ETag"], whole.headers["Last-Modified"]
    for condition, status in [(etag, 206), (date, 206), ('"other"', 200)]:
        part = plain.session.get(url, headers={"Range": "bytes=1000-", "If-Range": condition})
        assert part.status_code == status
        assert part.content == (whole.content[1000:] if status == 206 else whole.content)
    assert plain.session.get(url, headers={"If-None-Match": etag}).status_code == 304
    beyond = plain.session.get(url, headers={"Range": f"bytes={1 << 20}-"})
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, f"bytes */{1 << 20}")
    assert plain.server.downloads[-1].headers["Range"] == f"bytes={1 << 20}-"


def test_changed_and_expired_download_urls_are_refused(plain: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    url = plain.offer()["download_url"]
    for wrong in (url[:-1] + "g", url.replace("expires=", "expires=9"), url.split("?")[0]):
        assert plain.session.get(wrong).status_code == 403
    monkeypatch.setattr("sidefx_client.testing.downloads.LIFETIME", -1)
    assert "has expired" in plain.session.get(plain.offer()["download_url"]).text
    assert plain.session.get(url).status_code == 200
    plain.server.expire_downloads()
    assert plain.session.get(url).status_code == 403
    plain.server.eula_accepted = False
    assert plain.call(BUILD, build="production", **LINUX).text == "EULA not accepted"
