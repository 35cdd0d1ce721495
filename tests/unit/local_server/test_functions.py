"""The documented functions and their made-up data."""

from __future__ import annotations

import time
from typing import Any

import pytest
from support.visitor import LINUX, Visitor


def numbers(visitor: Visitor, *args: Any, **kwargs: Any) -> list[str]:
    builds = visitor.call("download.get_daily_builds_list", *args, **kwargs).json()
    return [build["build"] for build in builds]


def test_builds_are_filtered_and_sorted_as_strings(plain: Visitor) -> None:
    assert numbers(plain, **LINUX) == ["99", "601", "583", "445", "278", "1002"]
    assert numbers(plain, **LINUX, only_production=True) == ["583", "445", "278"]
    builds = plain.call("download.get_daily_builds_list", "houdini").json()
    assert {build["version"] for build in builds} == {"19.5", "20.0", "20.5", "21.0"}
    assert {build["status"] for build in builds} == {"good", "bad"}
    assert builds[0] == {
        "build": "542",
        "date": "2025/11/15",
        "platform": "linux_x86_64_gcc11.2",
        "product": "houdini",
        "release": "devel",
        "status": "bad",
        "version": "21.0",
    }


def test_platforms_are_known_by_short_and_long_form(plain: Visitor) -> None:
    def platforms(platform: str) -> set[str]:
        answer = plain.call("download.get_daily_builds_list", "houdini", ["20.0"], platform)
        return {build["platform"] for build in answer.json()}

    assert platforms("linux") == {"linux_x86_64_gcc11.2", "linux_x86_64_gcc9.3"}
    assert platforms("linux_x86_64_gcc9.3") == {"linux_x86_64_gcc9.3"}
    assert platforms("macos") == {"macosx_x86_64_clang13.0_12"}
    assert platforms("macosx_arm64") == {"macosx_arm64_clang13.0_12"}
    assert numbers(plain, "docker", "20.5", "win64", only_production=True) == numbers(plain, "docker", "20.5")


def test_the_production_build_is_the_newest_gold_one_by_number(plain: Visitor) -> None:
    offer = plain.offer()
    assert offer.pop("download_url").startswith(f"{plain.server.url}/download/houdini-20.5.583-linux")
    assert len(offer.pop("hash")) == 32
    assert offer == {
        "date": "2025/04/17",
        "filename": "houdini-20.5.583-linux_x86_64_gcc11.2.tar.gz",
        "releases_list": "gold",
        "size": 1 << 20,
        "status": "good",
    }
    assert plain.offer("1002")["status"] == "bad"
    several = {"product": "houdini", "version": "20.0", "build": "production", "platform": "linux"}
    newest = plain.call("download.get_daily_build_download", **several).json()
    assert newest["filename"] == "houdini-20.0.1007-linux_x86_64_gcc11.2.tar.gz"


@pytest.mark.parametrize(
    ("name", "kwargs", "words"),
    [
        ("no.such", {}, "Unknown API function: no.such"),
        ("download.get_daily_builds_list", {"product": "maya"}, "Unknown product 'maya'. Use one of houdini,"),
        ("download.get_daily_builds_list", {"product": "houdini", "build": "1"}, "build"),
        ("download.get_daily_builds_list", {"product": "houdini", "version": 20.5}, "a string such as '20.5'"),
        ("download.get_daily_builds_list", {"product": "houdini", "version": "1.0"}, "Unknown version '1.0'"),
        ("download.get_daily_builds_list", {"product": "houdini", "platform": "macosx"}, "Use one of win64, macos,"),
        ("download.get_daily_build_download", {**LINUX, "build": 1}, "no build 1 of houdini 20.5 for linux"),
        ("license.get_non_commercial_license", {}, "server_name"),
        (
            "license.get_non_commercial_license",
            {"server_name": "a", "server_code": "b", "products": "FX"},
            "Use one of HOUDINI-NC, RENDER-NC",
        ),
        ("changelog.get_latest_changelog_entries", {"version": "9"}, "Unknown version '9'"),
    ],
)
def test_what_a_documented_function_cannot_do_is_a_422_in_words(
    plain: Visitor, name: str, kwargs: dict[str, Any], words: str
) -> None:
    answer = plain.call(name, **kwargs)
    assert answer.status_code == 422
    assert words in answer.text


def test_licence_keys_are_plainly_fake(plain: Visitor) -> None:
    machine = {"server_name": "box", "server_code": "1a2b3c4d", "products": "HOUDINI-NC;RENDER-NC"}
    answer = plain.call("license.get_non_commercial_license", **machine).json()
    assert len(answer["license_keys"]) == 2
    assert all("box FAKE-" in key for key in answer["license_keys"])
    assert answer["server_key"].startswith("SERVER box 1a2b3c4d FAKE-")


def test_an_issue_is_confirmed_or_refused(plain: Visitor) -> None:
    issue = dict.fromkeys(("product", "category", "os", "version", "summary", "description"), "x")
    issue.update(priority="SEV3", type="RFE")
    first, second = (plain.call("bugs.submit_issue", **issue).json() for _ in range(2))
    assert second["id"] == first["id"] + 1
    for change in ({"priority": "SEV6"}, {"type": "rant"}, {"summary": "x" * 101}, {"os": ""}):
        assert plain.call("bugs.submit_issue", **{**issue, **change}).status_code == 422


def test_the_changelog_is_of_the_last_days(plain: Visitor) -> None:
    entries = plain.call("changelog.get_latest_changelog_entries", "20.5").json()
    assert {tuple(sorted(entry)) for entry in entries} == {("build", "description", "pubdate", "title", "version")}
    days = [time.mktime(time.strptime(entry["pubdate"], "%Y/%m/%d")) for entry in entries]
    assert min(days) > time.time() - 7 * 86400
