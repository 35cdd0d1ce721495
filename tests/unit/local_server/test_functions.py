"""The documented functions of the local server with their made-up data, and the files of builds behind signed URLs."""

from __future__ import annotations

import inspect
import time
from typing import Any

import pytest
from support.visitor import LINUX, Visitor

from sidefx_client.documented import functions as catalogue
from sidefx_client.documented import help as help_text

BUILDS, BUILD = "download.get_daily_builds_list", "download.get_daily_build_download"
LICENSE, CHANGES = "license.get_non_commercial_license", "changelog.get_latest_changelog_entries"


def numbers(visitor: Visitor, *args: Any, **kwargs: Any) -> list[str]:
    return [build["build"] for build in visitor.call(BUILDS, *args, **kwargs).json()]


def test_the_local_server_has_the_documented_functions_with_their_parameters(visitor: Visitor) -> None:
    def shape(signature: inspect.Signature) -> list[tuple[Any, ...]]:
        return [(p.name, p.kind, p.default) for p in signature.parameters.values()]

    documented = {f"{module}.{name}" for module in catalogue.MODULES for name in catalogue.functions(module)}
    table = visitor.server._application.functions.table
    assert set(table) == documented
    for name, function in table.items():
        signature = help_text.signature(name)
        assert signature is not None
        assert shape(inspect.signature(function)) == shape(signature), name


def test_builds_are_filtered_and_sorted_as_strings(visitor: Visitor) -> None:
    assert numbers(visitor, **LINUX) == ["99", "601", "583", "445", "278", "1002"]
    assert numbers(visitor, **LINUX, only_production=True) == ["583", "445", "278"]
    builds = visitor.call(BUILDS, "houdini").json()
    assert {build["version"] for build in builds} == {"19.5", "20.0", "20.5", "21.0", "22.0"}
    assert {build["status"] for build in builds} == {"good", "bad"}
    first = {"build": "99", "date": "2026/04/09", "platform": "linux_arm64_gcc14.2", "product": "houdini"}
    assert builds[0] == {**first, "release": "devel", "status": "good", "version": "22.0"}
    assert numbers(visitor, "docker", "20.5", "win64", only_production=True) == numbers(visitor, "docker", "20.5")


def test_platforms_have_a_short_and_a_long_form(visitor: Visitor) -> None:
    def platforms(version: str, platform: str) -> set[str]:
        return {build["platform"] for build in visitor.call(BUILDS, "houdini", [version], platform).json()}

    assert platforms("20.0", "linux") == {"linux_x86_64_gcc11.2", "linux_x86_64_gcc9.3"}
    assert platforms("20.0", "linux_x86_64_gcc9.3") == {"linux_x86_64_gcc9.3"}
    assert platforms("22.0", "linux_arm64") == {"linux_arm64_gcc14.2"}
    assert platforms("20.5", "linux_arm64") == set()


def test_the_production_build_is_the_newest_gold_build_by_number(visitor: Visitor) -> None:
    offer = visitor.offer()
    filename = "houdini-20.5.583-linux_x86_64_gcc11.2.tar.gz"
    assert offer.pop("download_url").startswith(f"{visitor.server.url}/download/{filename}")
    assert len(offer.pop("hash")) == 32
    known = {"date": "2025/04/17", "releases_list": "gold", "size": 1 << 20, "status": "good"}
    assert offer == {**known, "filename": filename}
    assert visitor.offer("1002")["status"] == "bad"
    newest = visitor.call(BUILD, build="production", **{**LINUX, "version": "20.0"}).json()
    assert newest["filename"] == "houdini-20.0.1007-linux_x86_64_gcc11.2.tar.gz"


ISSUE = dict.fromkeys(("product", "category", "os", "version", "summary", "description"), "x")
ISSUE.update(priority="SEV3", type="RFE")


@pytest.mark.parametrize(
    ("name", "kwargs", "words"),
    [
        ("no.such", {}, "Unknown API function: no.such"),
        (BUILDS, {"product": "houdini", "build": "1"}, "build"),
        (BUILDS, {"product": "houdini", "version": 20.5}, "a string such as '20.5'"),
        (BUILDS, {"product": "houdini", "platform": "macosx"}, "Use one of win64, macos,"),
        (BUILD, {**LINUX, "build": 1}, "no build 1 of houdini 20.5 for linux"),
        (LICENSE, {"server_name": "a", "server_code": "b", "products": "FX"}, "Use one of HOUDINI-NC, RENDER-NC"),
        (CHANGES, {"version": "9"}, "Unknown version '9'"),
        ("bugs.submit_issue", {**ISSUE, "summary": "x" * 101}, "100 are allowed"),
        ("bugs.submit_issue", {**ISSUE, "os": ""}, "os must be a text that is not empty"),
    ],
)
def test_wrong_arguments_are_a_422_in_words(visitor: Visitor, name: str, kwargs: dict[str, Any], words: str) -> None:
    response = visitor.call(name, **kwargs)
    assert response.status_code == 422
    assert words in response.text


def test_unknown_products_have_no_builds_unless_the_test_limits_products(visitor: Visitor) -> None:
    assert numbers(visitor, "houdini-py314") == []
    visitor.server.products = ["houdini", "docker"]
    response = visitor.call(BUILDS, "houdini-py314")
    told = "Unknown product 'houdini-py314'. Use one of houdini, docker."
    assert (response.status_code, response.text) == (422, told)
    assert numbers(visitor, "docker", "20.5")


def test_license_keys_are_plainly_fake(visitor: Visitor) -> None:
    machine = {"server_name": "box", "server_code": "1a2b3c4d", "products": "HOUDINI-NC;RENDER-NC"}
    response = visitor.call(LICENSE, **machine).json()
    assert len(response["license_keys"]) == 2
    assert all("box FAKE-" in key for key in response["license_keys"])
    assert response["server_key"].startswith("SERVER box 1a2b3c4d FAKE-")


def test_issues_get_new_ids_and_the_changelog_is_of_the_last_days(visitor: Visitor) -> None:
    first, second = (visitor.call("bugs.submit_issue", **ISSUE).json() for _ in range(2))
    assert second["id"] == first["id"] + 1
    entries = visitor.call(CHANGES, "20.5").json()
    assert (entries[1]["version"], entries[1]["build"]) == ("20.5.1001", 1001)
    assert {tuple(sorted(entry)) for entry in entries} == {("build", "description", "pubdate", "title", "version")}
    days = [time.mktime(time.strptime(entry["pubdate"], "%Y/%m/%d")) for entry in entries]
    assert min(days) > time.time() - 7 * 86400


# The files of builds


def test_ranges_of_a_build_are_served_if_the_validator_matches(visitor: Visitor) -> None:
    url = visitor.offer()["download_url"]
    whole = visitor.get(url)
    etag, date = whole.headers["ETag"], whole.headers["Last-Modified"]
    for condition, status in [(etag, 206), (date, 206), ('"other"', 200)]:
        part = visitor.get(url, headers={"Range": "bytes=1000-", "If-Range": condition})
        assert part.status_code == status
        assert part.content == (whole.content[1000:] if status == 206 else whole.content)
    assert visitor.get(url, headers={"If-None-Match": etag}).status_code == 304
    beyond = visitor.get(url, headers={"Range": f"bytes={1 << 20}-"})
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, f"bytes */{1 << 20}")
    assert visitor.server.downloads[-1].headers["Range"] == f"bytes={1 << 20}-"


def test_changed_and_expired_download_urls_are_refused(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    url = visitor.offer()["download_url"]
    for wrong in (url[:-1] + "g", url.replace("expires=", "expires=9"), url.split("?")[0]):
        assert visitor.get(wrong).status_code == 403
    monkeypatch.setattr("sidefx_client.testing.downloads.LIFETIME", -1)
    assert "has expired" in visitor.get(visitor.offer()["download_url"]).text
    assert visitor.get(url).status_code == 200
    visitor.server.expire_downloads()
    assert visitor.get(url).status_code == 403
    visitor.server.eula_accepted = False
    assert visitor.call(BUILD, build="production", **LINUX).text == "EULA not accepted"
