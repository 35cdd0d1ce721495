"""Tokens and calls of the protocol, and functions that raise: a 500 as on the API, raised again by close()."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import requests
from support.downloads import md5
from support.visitor import Visitor

from sidefx_client.testing import Call, LocalServer, Refusal, Stream, Upload


def test_a_token_needs_the_credentials_and_the_body_of_its_url(
    visitor: Visitor,
) -> None:
    ours, standard = visitor.server.access_token_url, visitor.server.standard_token_url
    grant = {"grant_type": "client_credentials"}
    for url, body, status in [(standard + "/", grant, 200), (standard, {}, 400), (ours, grant, 400)]:
        assert visitor.post(url, data=body, auth=visitor.pair).status_code == status
    response = visitor.token().json()
    assert (response["expires_in"], response["token_type"]) == (43200, "Bearer")
    visitor.pair = ("local-client-id", "wrong")
    refused = visitor.token()
    assert (refused.status_code, refused.text) == (403, "Invalid client id or client secret.")
    assert requests.post(visitor.server.access_token_url).status_code == 403


def test_tokens_are_required_expire_and_can_be_revoked(visitor: Visitor) -> None:
    assert visitor.upload(None, "bugs.get_submission_options").status_code == 401
    assert visitor.call("bugs.get_submission_options").status_code == 200
    visitor.server.revoke_tokens()
    assert visitor.call("bugs.get_submission_options").status_code == 401
    visitor.server.token_lifetime = 0
    visitor.token()
    assert visitor.call("bugs.get_submission_options").status_code == 401


def test_a_call_reaches_its_function_and_is_recorded(visitor: Visitor) -> None:
    visitor.server.register("farm.add", lambda *args, **kwargs: [args, kwargs])
    assert visitor.call("farm.add", 1, ["é"], name=None, json={}).json() == [[1, ["é"]], {"name": None, "json": {}}]
    call = visitor.server.calls[-1]
    assert call == Call("farm.add", [1, ["é"]], {"name": None, "json": {}}, {})
    assert call.headers["user-agent"].startswith("python-requests")


@pytest.mark.parametrize("size", [0, 5, 3 << 20])
def test_long_arguments_and_uploads_reach_the_function(visitor: Visitor, size: int) -> None:
    content = os.urandom(size)

    @visitor.server.register("farm.upload")
    def upload(job: str, scene: Upload) -> list[Any]:
        return [job, scene.filename, scene.content_type, scene.size, scene.md5, scene.data == content]

    visitor.token()
    part, job = ("shot.hip", content, "application/octet-stream"), "x" * size
    response = visitor.upload({"scene": part}, "farm.upload", job)
    assert response.json() == [job, *part[::2], size, md5(content), True]
    call = visitor.server.calls[-1]
    assert (call.kwargs, call.files["scene"].size) == ({}, size)


def test_bytes_and_streams_are_octet_streams(visitor: Visitor, tmp_path: Path) -> None:
    (tmp_path / "out.bin").write_bytes(b"from disk")
    visitor.server.register("farm.bytes", lambda: b"raw")
    visitor.server.register("farm.named", lambda: Stream(b"named", name="ä b.bin"))
    visitor.server.register("farm.path", lambda: Stream(tmp_path / "out.bin", "out.bin"))
    responses = [visitor.call(f"farm.{name}") for name in ("bytes", "named", "path")]
    assert [response.content for response in responses] == [b"raw", b"named", b"from disk"]
    assert {response.headers["Content-Type"] for response in responses} == {"application/octet-stream"}
    dispositions = [response.headers.get("Content-Disposition") for response in responses]
    named = "attachment; filename=\"a b.bin\"; filename*=UTF-8''%C3%A4%20b.bin"
    assert dispositions == [None, named, "attachment; filename=out.bin"]


def test_a_refusal_is_a_plain_text_response_and_not_an_error_of_the_server(visitor: Visitor) -> None:
    def refuse() -> None:
        raise Refusal(403, "Not on a Sunday.")

    visitor.server.register("farm.refuse", refuse)
    response = visitor.call("farm.refuse")
    assert (response.status_code, response.text) == (403, "Not on a Sunday.")
    assert response.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize("status", [0, 100, 199, 600])
def test_a_status_that_does_not_end_a_response_is_an_error(visitor: Visitor, status: int) -> None:
    with pytest.raises(ValueError, match=f"from 200 to 599, not {status}"):
        Refusal(status, "no")
    with pytest.raises(ValueError, match=f"from 200 to 599, not {status}"):
        visitor.server.fail(status)


@pytest.mark.parametrize("form", [{}, {"json": "{"}, {"json": '["a.b", {}, []]'}, {"json": "[1, [], {}]"}])
def test_a_malformed_request_is_refused_with_the_right_form(visitor: Visitor, form: dict[str, str]) -> None:
    response = visitor.post(visitor.server.endpoint_url, data=form)
    assert response.status_code == 400
    assert '["module.function", [positional], {keyword}]' in response.text
    assert visitor.server.calls == []
    assert visitor.get(visitor.server.endpoint_url).text == "/api/ takes POST, not GET."
    assert "calls go to /api/" in visitor.post(visitor.server.url).text


# Functions that raise


def boom(server: LocalServer) -> requests.Response:
    def raise_an_error() -> None:
        raise ValueError("a < b")

    server.register("farm.boom", raise_an_error)
    return requests.post(server.endpoint_url, data={"json": '["farm.boom", [], {}]'})


def test_an_exception_in_a_function_is_a_500_and_raised_by_close() -> None:
    server = LocalServer(authenticate=False)
    response = boom(server)
    assert response.status_code == 500
    assert response.text.startswith("Traceback (most recent call last):\n")
    assert response.text.endswith("ValueError: a < b")
    with pytest.raises(ValueError, match="a < b"):
        server.close()
    server.close()  # can be called again


@pytest.mark.parametrize(
    ("debug", "newline", "first"), [(True, "\n", "Traceback (most recent call last):"), ("old", "\r\n", "Traceback:")]
)
def test_a_debug_page_has_the_escaped_traceback(debug: bool | str, newline: str, first: str) -> None:
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
def test_the_function_s_error_replaces_its_consequence_but_not_ctrl_c(error: Any, raised: Any) -> None:
    with pytest.raises(raised):  # noqa: PT012
        with LocalServer(authenticate=False) as server:
            boom(server)
            raise error


def test_a_cookie_is_set_on_every_response_and_an_error_of_the_server_itself_is_raised_by_close() -> None:
    server = LocalServer(set_cookie="session=1")
    assert requests.post(server.access_token_url).cookies["session"] == "1"
    server.set_cookie = "no\nheader"
    assert requests.post(server.access_token_url).status_code == 500
    with pytest.raises(ValueError, match="newline"):
        server.close()
