"""The local server over real sockets, seen by plain requests; the client itself comes in at the end only."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from sidefx_client.testing import Call, LocalServer, Refusal, Stream, Upload

ROOT = Path(__file__).parent.parent
LINUX = {"product": "houdini", "version": "20.5", "platform": "linux"}


class Visitor:
    """The least that speaks the protocol: one session, one token."""

    def __init__(self, server: LocalServer) -> None:
        self.server = server
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = server.ca_bundle or True
        self.pair = (server.client_id, server.client_secret)
        self.headers: dict[str, str] = {}

    def token(self) -> requests.Response:
        answer = self.session.post(self.server.access_token_url, auth=self.pair)
        if answer.ok:
            self.headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        return answer

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


@pytest.fixture(params=[False, True], ids=["http", "https"])
def visitor(request: pytest.FixtureRequest) -> Iterator[Visitor]:
    with LocalServer(tls=request.param) as server:
        visitor = Visitor(server)
        with visitor.session:
            yield visitor


@pytest.fixture
def plain() -> Iterator[Visitor]:
    with LocalServer() as server:
        visitor = Visitor(server)
        with visitor.session:
            yield visitor


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0


# Sockets.


def test_a_token_and_thirty_calls_are_one_connection(visitor: Visitor) -> None:
    assert [visitor.call("bugs.get_submission_options").status_code for _ in range(30)] == [200] * 30
    server = visitor.server
    assert (server.connections, server.handshakes) == (1, int(server.ca_bundle is not None))
    assert (server.requests, server.token_requests, len(server.calls)) == (31, 1, 30)


@pytest.mark.parametrize("tls", [False, True])
def test_closing_is_quick_and_leaves_nothing(tls: bool) -> None:
    LocalServer(tls=tls).close()  # makes the certificates
    threads, descriptors = threading.active_count(), open_descriptors()
    with requests.Session() as session:
        server = LocalServer(tls=tls)
        ca_bundle = server.ca_bundle
        session.verify = ca_bundle or True
        session.post(server.access_token_url)
        with socket.create_connection(("127.0.0.1", int(server.url.rsplit(":", 1)[1]))):
            start = time.perf_counter()
            server.close()
            assert time.perf_counter() - start < 0.5
    assert (threading.active_count(), open_descriptors()) == (threads, descriptors)
    assert ca_bundle is None or not Path(ca_bundle).exists()
    server.close()


def test_a_silent_or_failed_handshake_holds_up_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    with LocalServer(tls=True) as server:
        address = ("127.0.0.1", int(server.url.rsplit(":", 1)[1]))
        with socket.create_connection(address), socket.create_connection(address) as plain:
            plain.sendall(b"GET / HTTP/1.0\r\n\r\n")
            with pytest.raises(requests.exceptions.SSLError):
                requests.post(server.access_token_url)
            visitor = Visitor(server)
            with visitor.session:
                assert visitor.token().status_code == 200
        assert (server.connections, server.handshakes) == (4, 1)
    assert capfd.readouterr() == ("", "")


def test_many_functions_run_at_once(plain: Visitor) -> None:
    together = threading.Barrier(24, timeout=5)
    plain.server.register("farm.meet", together.wait)
    plain.token()
    url, body = plain.server.endpoint_url, {"json": '["farm.meet", [], {}]'}
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda _: requests.post(url, data=body, headers=plain.headers), range(24)))
    assert sorted(answer.json() for answer in answers) == list(range(24))


def test_an_upload_cut_midway_is_no_call(plain: Visitor) -> None:
    plain.server.authenticate = False
    head = b"POST /api/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n"
    body = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n' + bytes(3 << 20)
    with socket.create_connection(("127.0.0.1", int(plain.server.url.rsplit(":", 1)[1]))) as client:
        client.sendall(head + b"Content-Type: multipart/form-data; boundary=b\r\n\r\n" + body)
    assert plain.call("bugs.get_submission_options").status_code == 200
    plain.server.close()
    assert [call.name for call in plain.server.calls] == ["bugs.get_submission_options"]


def test_a_function_that_does_not_end_is_warned_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidefx_client.testing.sockets.GRACE", 0.05)
    release = threading.Event()
    server = LocalServer(authenticate=False)
    server.register("farm.hang", release.wait)
    with pytest.raises(requests.ReadTimeout):
        requests.post(server.endpoint_url, data={"json": '["farm.hang", [], {}]'}, timeout=0.1)
    with pytest.warns(ResourceWarning, match=r"use server\.delay\(\)"):
        server.close()
    release.set()


# Tokens.


def test_tokens_are_given_for_the_right_pair_only(visitor: Visitor) -> None:
    answer = visitor.token().json()
    assert (answer["expires_in"], answer["token_type"]) == (43200, "Bearer")
    visitor.pair = ("local-client-id", "wrong")
    refused = visitor.token()
    assert (refused.status_code, refused.text) == (403, "Invalid client id or client secret.")
    assert requests.post(visitor.server.access_token_url, verify=visitor.session.verify).status_code == 403


def test_the_standard_url_wants_a_grant_type_and_the_other_none(plain: Visitor) -> None:
    grant = {"grant_type": "client_credentials"}
    for url, body, status in [
        (plain.server.standard_token_url, grant, 200),
        (plain.server.standard_token_url + "/", grant, 200),
        (plain.server.standard_token_url, {}, 400),
        (plain.server.access_token_url, grant, 400),
    ]:
        assert plain.session.post(url, data=body, auth=plain.pair).status_code == status


def test_tokens_expire_and_can_be_revoked(plain: Visitor) -> None:
    assert plain.call("bugs.get_submission_options").status_code == 200
    plain.server.revoke_tokens()
    assert plain.call("bugs.get_submission_options").status_code == 401
    plain.server.token_lifetime = 0
    plain.token()
    assert plain.call("bugs.get_submission_options").status_code == 401


def test_a_call_without_a_token_is_refused_unless_the_server_asks_for_none(plain: Visitor) -> None:
    body = {"json": '["pull_cookies", [], {}]'}
    assert requests.post(plain.server.endpoint_url, data=body).status_code == 401
    with LocalServer(authenticate=False) as hserver:
        hserver.register("pull_cookies", lambda: "crumbs")
        for url in (hserver.endpoint_url, hserver.endpoint_url.rstrip("/")):
            assert requests.post(url, data=body).json() == "crumbs"


# Calls.


def test_a_call_reaches_its_function_and_is_recorded(visitor: Visitor) -> None:
    visitor.server.register("farm.add", lambda *args, **kwargs: [args, kwargs])
    assert visitor.call("farm.add", 1, ["é"], name=None, json={}).json() == [[1, ["é"]], {"name": None, "json": {}}]
    call = visitor.server.calls[-1]
    assert call == Call("farm.add", [1, ["é"]], {"name": None, "json": {}}, {})
    assert call.headers["user-agent"].startswith("python-requests")


@pytest.mark.parametrize("size", [0, 5, 3 << 20])
def test_uploads_reach_the_function_under_their_keywords(visitor: Visitor, size: int) -> None:
    content = os.urandom(size)

    @visitor.server.register("farm.upload")
    def upload(job: int, scene: Upload) -> list[Any]:
        return [job, scene.filename, scene.content_type, scene.size, scene.md5, scene.data == content]

    part = ("shot.hip", content, "application/octet-stream")
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    expected = [7, "shot.hip", "application/octet-stream", size, md5, True]
    visitor.token()
    assert visitor.post(["farm.upload", [7], {}], files={"scene": part}).json() == expected
    assert visitor.server.calls[-1].kwargs == {}
    assert visitor.server.calls[-1].files["scene"].size == size


def test_a_long_call_is_taken(plain: Visitor) -> None:
    plain.server.register("farm.measure", lambda text, scene=None: len(text) + (scene.size if scene else 0))
    assert plain.call("farm.measure", "x" * 2_000_000).json() == 2_000_000
    answer = plain.post(["farm.measure", ["x" * 2_000_000], {}], files={"scene": b"12345"})
    assert answer.json() == 2_000_005


def test_bytes_and_streams_are_octet_streams(visitor: Visitor, tmp_path: Path) -> None:
    (tmp_path / "out.bin").write_bytes(b"from disk")
    visitor.server.register("farm.bytes", lambda: b"raw")
    visitor.server.register("farm.named", lambda: Stream(b"named", name="ä b.bin"))
    visitor.server.register("farm.path", lambda: Stream(tmp_path / "out.bin", "out.bin"))
    answers = [visitor.call(f"farm.{name}") for name in ("bytes", "named", "path")]
    assert [answer.content for answer in answers] == [b"raw", b"named", b"from disk"]
    assert {answer.headers["Content-Type"] for answer in answers} == {"application/octet-stream"}
    dispositions = [answer.headers.get("Content-Disposition") for answer in answers]
    assert dispositions == [
        None,
        "attachment; filename=\"a b.bin\"; filename*=UTF-8''%C3%A4%20b.bin",
        "attachment; filename=out.bin",
    ]


def test_a_refusal_is_a_plain_text_answer_and_no_failure(plain: Visitor) -> None:
    def refuse() -> None:
        raise Refusal(403, "Not on a Sunday.")

    plain.server.register("farm.refuse", refuse)
    answer = plain.call("farm.refuse")
    assert (answer.status_code, answer.text) == (403, "Not on a Sunday.")
    assert answer.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize("field", [None, "{", "[]", '["a.b", {}, []]', "[1, [], {}]"])
def test_what_is_no_call_is_a_400_that_says_how_one_looks(plain: Visitor, field: str | None) -> None:
    answer = plain.session.post(plain.server.endpoint_url, data={"json": field})
    assert answer.status_code == 400
    assert '["module.function", [positional], {keyword}]' in answer.text
    assert plain.server.calls == []


def test_other_paths_and_methods_are_refused_in_words(plain: Visitor) -> None:
    assert plain.session.get(plain.server.endpoint_url).text == "/api/ takes POST, not GET."
    assert "calls go to /api/" in plain.session.post(plain.server.url).text


def test_a_cookie_is_set_on_every_answer() -> None:
    with LocalServer(set_cookie="session=1") as server:
        assert requests.post(server.access_token_url).cookies["session"] == "1"


# Failures of registered functions.


def boom(server: LocalServer) -> requests.Response:
    def raise_an_error() -> None:
        raise ValueError("a < b")

    server.register("farm.boom", raise_an_error)
    return requests.post(server.endpoint_url, data={"json": '["farm.boom", [], {}]'})


def test_an_exception_in_a_function_is_a_500_and_is_raised_at_the_end() -> None:
    server = LocalServer(authenticate=False)
    answer = boom(server)
    assert answer.status_code == 500
    assert answer.text.startswith("Traceback (most recent call last):\n")
    assert answer.text.endswith("ValueError: a < b")
    with pytest.raises(ValueError, match="a < b"):
        server.close()
    server.close()  # a second time does nothing


@pytest.mark.parametrize(("debug", "first"), [(True, "Traceback (most recent call last):"), ("old", "Traceback:")])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_debug_page_holds_the_traceback_escaped(debug: bool | str, first: str, newline: str) -> None:
    with LocalServer(authenticate=False, debug=debug, newline=newline) as server:
        page = boom(server).text
        assert [str(error) for error in server.errors] == ["a < b"]
        server.errors.clear()
    lines = page.split(newline)
    assert lines.index(first) < lines.index("Exception Value: a &lt; b") < lines.index("</textarea>")
    assert '<textarea id="traceback_area"' in page
    assert "raise ValueError(&quot;a &lt; b&quot;)" in page
    assert page.count("\r") == (page.count("\n") if newline == "\r\n" else 0)


@pytest.mark.parametrize(("error", "raised"), [(KeyError, ValueError), (KeyboardInterrupt, KeyboardInterrupt)])
def test_a_function_s_error_goes_before_the_one_it_led_to_but_not_before_ctrl_c(
    error: type[BaseException], raised: type[BaseException]
) -> None:
    def use_a_server() -> None:
        with LocalServer(authenticate=False) as server:
            boom(server)
            raise error

    with pytest.raises(raised):
        use_a_server()


def test_an_error_of_the_server_itself_is_raised_too() -> None:
    server = LocalServer(set_cookie="no\nheader")
    assert requests.post(server.access_token_url).status_code == 500
    with pytest.raises(ValueError, match="newline"):
        server.close()


# Scripted faults.


def test_faults_come_in_order_and_as_often_as_was_said(plain: Visitor) -> None:
    plain.server.fail(503, "Down for maintenance.", times=2)
    plain.server.rate_limit(7)
    answers = [plain.call("bugs.get_submission_options") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [503, 503, 429, 200]
    assert (answers[0].text, answers[2].headers["Retry-After"]) == ("Down for maintenance.", "7")
    assert len(plain.server.calls) == 4
    with pytest.raises(ValueError, match="times"):
        plain.server.fail(500, times=0)


def test_a_fault_for_one_function_spares_the_others(plain: Visitor) -> None:
    plain.server.fail(500, function="a.b")
    plain.server.fail(429, function="token", headers={"Retry-After": "1"})
    plain.server.fail(404, function="download")
    assert [plain.token().status_code, plain.token().status_code] == [429, 200]
    url = plain.offer()["download_url"]
    assert [plain.session.get(url).status_code, plain.session.get(url).status_code] == [404, 200]
    assert [plain.call("a.b").status_code, plain.call("a.b").status_code] == [500, 422]


@pytest.mark.parametrize("after_reading", [True, False])
def test_a_dropped_call_has_no_answer(visitor: Visitor, after_reading: bool) -> None:
    visitor.token()
    visitor.server.drop(after_reading=after_reading)
    with pytest.raises(requests.ConnectionError):
        visitor.call("bugs.get_submission_options")
    assert len(visitor.server.calls) == int(after_reading)
    assert visitor.call("bugs.get_submission_options").status_code == 200
    with pytest.raises(ValueError, match="leave out function"):
        visitor.server.drop(function="a.b", after_reading=False)


def test_a_delayed_call_is_late_and_does_not_hold_up_the_end() -> None:
    with LocalServer(authenticate=False) as server:
        visitor = Visitor(server)
        server.delay(0.1)
        start = time.perf_counter()
        assert visitor.call("bugs.get_submission_options").status_code == 200
        assert time.perf_counter() - start >= 0.1
        server.delay(60)
        with pytest.raises(requests.ReadTimeout):
            requests.post(server.endpoint_url, data={"json": '["a.b", [], {}]'}, timeout=0.1)
        start = time.perf_counter()
    assert time.perf_counter() - start < 0.5
    visitor.session.close()


# The documented functions.


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


# The files of builds.


def test_a_build_is_what_its_size_and_hash_say(visitor: Visitor) -> None:
    offer = visitor.offer()
    content = requests.get(offer["download_url"], verify=visitor.session.verify).content
    assert len(content) == offer["size"]
    assert hashlib.md5(content, usedforsecurity=False).hexdigest() == offer["hash"] != visitor.offer("445")["hash"]
    assert [download.filename for download in visitor.server.downloads] == [offer["filename"]]


def test_a_build_is_served_in_parts_while_it_is_the_same(plain: Visitor) -> None:
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


def test_a_download_url_dies_when_it_is_changed_or_expired(plain: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    url = plain.offer()["download_url"]
    for wrong in (url[:-1] + "g", url.replace("expires=", "expires=9"), url.split("?")[0]):
        assert plain.session.get(wrong).status_code == 403
    monkeypatch.setattr("sidefx_client.testing.downloads.LIFETIME", -1)
    assert "has expired" in plain.session.get(plain.offer()["download_url"]).text
    assert plain.session.get(url).status_code == 200
    plain.server.expire_downloads()
    assert plain.session.get(url).status_code == 403


def test_no_build_is_offered_before_the_eula_is_accepted(plain: Visitor) -> None:
    plain.server.eula_accepted = False
    answer = plain.call("download.get_daily_build_download", build="production", **LINUX)
    assert (answer.status_code, answer.text) == (403, "EULA not accepted")


# The pytest plugin.

FIXTURE_USER = """
import requests

def call(server):
    return requests.post(server.endpoint_url, data={"json": '["farm.boom", [], {}]'}).status_code

def test_passes(sidefx_server):
    sidefx_server.authenticate = False
    assert (call(sidefx_server), len(sidefx_server.calls)) == (422, 1)

def test_error_at_teardown(sidefx_server):
    sidefx_server.authenticate = False
    sidefx_server.register("farm.boom", lambda: 1 / 0)
    assert (call(sidefx_server), len(sidefx_server.calls)) == (500, 1)

def test_acknowledged(sidefx_server):
    sidefx_server.authenticate = False
    sidefx_server.register("farm.boom", lambda: 1 / 0)
    assert call(sidefx_server) == 500
    sidefx_server.errors.clear()
"""


def run_python(*arguments: str, directory: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments], cwd=directory, env=environment, capture_output=True, text=True
    )
    return done.stdout + done.stderr


def run_pytest(directory: Path, conftest: str = "") -> str:
    (directory / "conftest.py").write_text(conftest)
    (directory / "test_user.py").write_text(FIXTURE_USER)
    plugin = ("-p", "no:sidefx_client", "-p", "sidefx_client.testing.pytest_plugin", "-p", "no:cacheprovider")
    return run_python("-m", "pytest", "-q", *plugin, directory=directory)


def test_the_fixture_is_fresh_for_each_test_and_fails_it_on_an_error_in_a_function(tmp_path: Path) -> None:
    report = run_pytest(tmp_path)
    assert "3 passed, 1 error" in report
    assert "ERROR test_user.py::test_error_at_teardown - ZeroDivisionError" in report


def test_the_fixture_says_what_to_install(tmp_path: Path) -> None:
    report = run_pytest(tmp_path, conftest="import sys; sys.modules['cheroot'] = None")
    assert "3 errors" in report
    assert "needs cheroot: pip install 'sidefx-client[testing]'" in report


def test_loading_the_plugin_loads_no_server(tmp_path: Path) -> None:
    code = "import sys, sidefx_client.testing.pytest_plugin as p; print({'werkzeug', 'cheroot'} & set(sys.modules))"
    assert run_python("-c", code, directory=tmp_path).strip() == "set()"


# With the client.


@pytest.mark.parametrize("tls", [False, True])
def test_its_service_is_connected_and_options_win(tls: bool) -> None:
    import sidefx_client

    with LocalServer(tls=tls) as server:
        assert ("REQUESTS_CA_BUNDLE" in server.environment) == tls
        with server.service() as service:
            assert (
                service.download.get_daily_builds_list("houdini", version="21.0", platform="linux")[0]["build"] == "542"
            )
        with pytest.raises(sidefx_client.AuthorizationError, match="403: Invalid client"):
            server.service(client_secret_key="wrong", retries=0)
        assert server.environment["SIDEFX_ENDPOINT_URL"] == server.endpoint_url


def test_the_service_of_a_server_without_authentication_asks_for_no_token() -> None:
    import sidefx_client

    with LocalServer(authenticate=False) as hserver:
        hserver.register("pull_cookies", lambda: "crumbs")
        with hserver.service() as service:
            assert sidefx_client.call(service, "pull_cookies") == "crumbs"
        assert hserver.token_requests == 0
        assert "Authorization" not in hserver.calls[0].headers
