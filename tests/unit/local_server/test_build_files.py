"""The files of builds, behind signed URLs."""

from __future__ import annotations

import hashlib

import pytest
import requests
from support.visitor import LINUX, Visitor


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


def test_builds_are_refused_until_the_eula_is_accepted(plain: Visitor) -> None:
    plain.server.eula_accepted = False
    response = plain.call("download.get_daily_build_download", build="production", **LINUX)
    assert (response.status_code, response.text) == (403, "EULA not accepted")
