"""Functions that raise: a 500 as on the API, and an error raised again by close()."""

from __future__ import annotations

import pytest
import requests

from sidefx_client.testing import LocalServer


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


@pytest.mark.parametrize(("debug", "first"), [(True, "Traceback (most recent call last):"), ("old", "Traceback:")])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_debug_page_has_the_escaped_traceback(debug: bool | str, first: str, newline: str) -> None:
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
def test_the_function_s_error_replaces_its_consequence_but_not_ctrl_c(
    error: type[BaseException], raised: type[BaseException]
) -> None:
    def use_a_server() -> None:
        with LocalServer(authenticate=False) as server:
            boom(server)
            raise error

    with pytest.raises(raised):
        use_a_server()


def test_an_error_of_the_server_itself_is_raised_by_close() -> None:
    server = LocalServer(set_cookie="no\nheader")
    assert requests.post(server.access_token_url).status_code == 500
    with pytest.raises(ValueError, match="newline"):
        server.close()
