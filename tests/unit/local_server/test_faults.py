"""Scripted faults."""

from __future__ import annotations

import functools
import time

import pytest
import requests
from support.visitor import Visitor

from sidefx_client.testing import LocalServer


def test_faults_apply_in_order_and_the_given_number_of_times(plain: Visitor) -> None:
    plain.server.fail(503, "Down for maintenance.", times=2)
    plain.server.rate_limit(7)
    responses = [plain.call("bugs.get_submission_options") for _ in range(4)]
    assert [response.status_code for response in responses] == [503, 503, 429, 200]
    assert (responses[0].text, responses[2].headers["Retry-After"]) == ("Down for maintenance.", "7")
    assert len(plain.server.calls) == 4
    with pytest.raises(ValueError, match="times"):
        plain.server.fail(500, times=0)


def test_a_fault_for_one_function_does_not_apply_to_others(plain: Visitor) -> None:
    plain.server.fail(500, function="a.b")
    plain.server.fail(429, function="token", headers={"Retry-After": "1"})
    plain.server.fail(404, function="download")
    assert [plain.token().status_code, plain.token().status_code] == [429, 200]
    url = plain.offer()["download_url"]
    assert [plain.session.get(url).status_code, plain.session.get(url).status_code] == [404, 200]
    assert [plain.call("a.b").status_code, plain.call("a.b").status_code] == [500, 422]


@pytest.mark.parametrize("name", ["bugs.submit_isue", "download.get_daily_build_list", "tokens", "farm.get_jobs"])
def test_a_fault_for_a_mistyped_function_is_an_error(plain: Visitor, name: str) -> None:
    plain.server.register("farm.get_job", lambda: 1)
    for fault in (plain.server.drop, functools.partial(plain.server.fail, 500)):
        with pytest.raises(ValueError, match=f"unknown function '{name}': did you mean "):
            fault(function=name)
    plain.server.register(name, lambda: 2)
    plain.server.fail(500, function=name)
    assert [plain.call(name).status_code for _ in range(2)] == [500, 200]


@pytest.mark.parametrize("after_reading", [True, False])
def test_a_dropped_call_has_no_response(visitor: Visitor, after_reading: bool) -> None:
    visitor.token()
    visitor.server.drop(after_reading=after_reading)
    with pytest.raises(requests.ConnectionError):
        visitor.call("bugs.get_submission_options")
    assert len(visitor.server.calls) == int(after_reading)
    assert visitor.call("bugs.get_submission_options").status_code == 200
    with pytest.raises(ValueError, match="leave out function"):
        visitor.server.drop(function="a.b", after_reading=False)


def test_close_ends_a_delay_at_once() -> None:
    with LocalServer(authenticate=False) as server, Visitor(server) as visitor:
        server.delay(0.1)
        start = time.perf_counter()
        assert visitor.call("bugs.get_submission_options").status_code == 200
        assert time.perf_counter() - start >= 0.1
        server.delay(60)
        with pytest.raises(requests.ReadTimeout):
            requests.post(server.endpoint_url, data={"json": '["a.b", [], {}]'}, timeout=0.1)
        start = time.perf_counter()
    assert time.perf_counter() - start < 0.5
