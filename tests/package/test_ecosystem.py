"""Test and tracing tools for requests see every request of this package. Each test skips if its tool is missing."""

from __future__ import annotations

import errno
import functools
import gzip
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3
from support.scripted import ScriptedServer, http_response, json_response, stall
from support.services import service_of

import sidefx_client as sidefx
from sidefx_client.client import ACCESS_TOKEN_URL, ENDPOINT_URL

# Older releases of the tools use deprecated functions, and vcrpy leaves its sockets to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

TOKEN = {"access_token": "a-mocked-token", "expires_in": 3600}
STREAM = {"Content-Type": "application/octet-stream"}


@pytest.fixture
def live() -> Iterator[ScriptedServer]:
    """Return a server that responds "live" to every call. A mocked call must not reach it."""
    with ScriptedServer(json_response("live")) as server:
        yield server


def cold(server: ScriptedServer, **options: Any) -> Any:
    """Return a service that requests its token."""
    return service_of(server, access_token=None, access_token_expiry_time=None, **options)


# requests_mock and responses


def mocker(tool: str) -> Any:
    """Return a context manager that mocks requests. Its value has a method ``post`` in both tools."""
    module = pytest.importorskip(tool)
    return module.Mocker() if tool == "requests_mock" else module.RequestsMock()


@pytest.mark.parametrize("tool", ["requests_mock", "responses"])
def test_N13_mock_started_before_the_service_sees_the_token_request_and_the_calls(tool: str) -> None:
    with mocker(tool) as mock:
        mock.post(ACCESS_TOKEN_URL, json=TOKEN)
        mock.post(ENDPOINT_URL, json="mocked")
        with sidefx.service("an-id", "a-secret") as service:
            assert service.access_token == "a-mocked-token"
            assert service.things.do(1) == "mocked"
        seen = mock.request_history if tool == "requests_mock" else [call.request for call in mock.calls]
        assert [request.headers["Authorization"][:6] for request in seen] == ["Basic ", "Bearer"]


@pytest.mark.parametrize("tool", ["requests_mock", "responses"])
def test_N13_mock_started_after_the_service_lets_no_call_pass(tool: str, live: ScriptedServer) -> None:
    with service_of(live, retries=0) as service:
        assert service.things.do() == "live"
        with mocker(tool) as mock:
            with pytest.raises(Exception, match=r"No mock|connection"):
                service.things.do()
            mock.post(live.api_url, json="mocked")
            assert service.things.do() == "mocked"
        assert service.things.do() == "live"
    assert len(live.requests) == 2


def test_N13_mocked_streams_empty_responses_and_downloads_are_read(tmp_path: Path) -> None:
    with mocker("requests_mock") as mock, sidefx.service("an-id", "a-secret", access_token="a-token") as service:
        mock.post(ENDPOINT_URL, [{"status_code": 204}, {"content": b"bytes", "headers": STREAM}])
        assert service.things.do(b=[2]) is None
        with service.things.do() as file:
            assert file.read() == b"bytes"
        mock.get("https://files.example/f.bin", content=b"bytes" * 1000)
        path = sidefx.download_file("https://files.example/f.bin", tmp_path / "f.bin", size=5000)
    assert path.read_bytes() == b"bytes" * 1000


def test_N13_body_of_a_call_is_text_as_in_requests(live: ScriptedServer) -> None:
    responses = pytest.importorskip("responses")
    with service_of(live) as service, responses.RequestsMock() as mock:
        body = responses.matchers.urlencoded_params_matcher({"json": '["things.do", [1], {"a": "\\u00eb"}]'})
        mock.post(live.api_url, json="mocked", match=[body])
        assert service.things.do(1, a="ë") == "mocked"


def test_N13_adapter_of_requests_mock_is_used() -> None:
    requests_mock = pytest.importorskip("requests_mock")
    with requests.Session() as session:
        adapter = requests_mock.Adapter()
        session.mount("https://", adapter)
        adapter.register_uri("POST", ACCESS_TOKEN_URL, json=TOKEN)
        adapter.register_uri("POST", ENDPOINT_URL, status_code=422, text="no such build")
        with sidefx.service("an-id", "a-secret", session=session) as service:
            with pytest.raises(sidefx.APIError, match=r"^422 no such build$"):
                service.things.do()


NOT_CONNECTED = [
    requests.ConnectTimeout("timed out"),
    requests.ConnectionError(urllib3.exceptions.NewConnectionError(None, "refused")),  # type: ignore[arg-type]
    requests.ConnectionError(urllib3.exceptions.ConnectTimeoutError(None, "timed out")),
]
POSSIBLY_SENT = [
    requests.ConnectionError("broken"),
    requests.ReadTimeout("timed out"),
    requests.exceptions.ChunkedEncodingError("broken"),
    ConnectionResetError("reset"),
    ssl.SSLError("broken"),  # without the attributes that the real one has
]


@pytest.mark.parametrize("error", [*NOT_CONNECTED, *POSSIBLY_SENT], ids=repr)
def test_N13_mocked_exception_may_have_executed_unless_it_says_that_there_was_no_connection(error: Exception) -> None:
    with mocker("requests_mock") as mock:
        mock.post(ENDPOINT_URL, exc=error)
        with sidefx.service("an-id", "a-secret", access_token="given-token", retries=0) as service:
            with pytest.raises(sidefx.TransportError) as caught:
                service.things.do()
    assert caught.value.may_have_executed is (error in POSSIBLY_SENT)
    assert isinstance(caught.value, sidefx.CallTimeout) is ("timed out" in repr(error))


# vcrpy


@pytest.fixture
def vcr(tmp_path: Path) -> Any:
    """Return a function that opens the cassette of this test."""
    return functools.partial(pytest.importorskip("vcr").use_cassette, str(tmp_path / "cassette.yaml"))


@pytest.mark.parametrize("tls", [None, "good"], ids=["plain", "tls"])
def test_N13_vcr_records_a_token_and_calls_and_replays_them_without_the_server(
    vcr: Any, tls: str | None, tmp_path: Path
) -> None:
    compressed = http_response(200, gzip.compress(b'"live"'), {"Content-Encoding": "gzip"})
    script = [compressed, http_response(200, b"bytes", STREAM), http_response(200, b"file")]
    with ScriptedServer(script, tls=tls) as server, requests.Session() as session:
        session.verify = server.ca_bundle or True
        for mode in ("once", "none"):
            with vcr(record_mode=mode) as cassette, cold(server) as service:
                assert service.things.do(scene=b"bytes") == "live"
                with service.things.do() as file:
                    assert file.read() == b"bytes"
                path = sidefx.download_file(server.url + "/f", tmp_path / mode, size=4, session=session)
                assert path.read_bytes() == b"file"
                assert len(cassette) == 4
        assert len(server.requests) == 4


@pytest.mark.parametrize("tls", [None, "good"], ids=["plain", "tls"])
def test_N13_vcr_started_after_the_service_replaces_its_open_connection(vcr: Any, tls: str | None) -> None:
    errors = pytest.importorskip("vcr.errors")
    with ScriptedServer([json_response(n) for n in range(4)], tls=tls) as server, service_of(server) as service:
        assert service.things.do() == 0
        with vcr(record_mode="once"):
            assert service.things.do() == 1
        assert service.things.do() == 2
        with vcr(record_mode="none"):
            assert service.things.do() == 1
            with pytest.raises(errors.CannotOverwriteExistingCassetteException):
                service.things.do()
        assert service.things.do() == 3
        assert len(server.requests) == 4


# betamax and requests-cache

CACHE: Any = {"backend": "memory", "allowable_methods": ["GET", "POST"]}


def test_N13_betamax_records_and_replays(tmp_path: Path, live: ScriptedServer) -> None:
    betamax = pytest.importorskip("betamax")
    for mode in ("once", "none"):
        with requests.Session() as session:
            recorder = betamax.Betamax(session, cassette_library_dir=str(tmp_path))
            with recorder.use_cassette("calls", record=mode), cold(live, session=session) as service:
                assert service.things.do() == "live"
    assert len(live.requests) == 2


def test_N13_cached_session_returns_the_cached_response(live: ScriptedServer) -> None:
    requests_cache = pytest.importorskip("requests_cache")
    with requests_cache.CachedSession(**CACHE) as session:
        with cold(live, session=session) as service:
            assert [service.things.get_all(1) for _ in range(3)] == ["live"] * 3
            assert len(live.api_requests) == 1
            for number in range(20):  # a new body may have the address of an old one
                service.things.upload(scene=b"%d" % number)
    assert len(live.token_requests) == 1
    assert len(live.api_requests) == 21


def test_N13_install_cache_holds_for_services_made_later(live: ScriptedServer) -> None:
    requests_cache = pytest.importorskip("requests_cache")
    with requests.Session() as before:
        requests_cache.install_cache(**CACHE)
        try:
            for session, sent in ((None, 1), (before, 3)):  # `before` does not cache
                with service_of(live, session=session) as service:
                    assert [service.things.get_all(1) for _ in range(2)] == ["live"] * 2
                assert len(live.requests) == sent
        finally:
            requests_cache.uninstall_cache()


# OpenTelemetry


def test_N13_opentelemetry_sees_a_span_for_each_request_and_its_header_is_sent(
    live: ScriptedServer, tmp_path: Path
) -> None:
    names = ("instrumentation.requests", "sdk.trace", "sdk.trace.export", "sdk.trace.export.in_memory_span_exporter")
    instrumentation, sdk, export, memory = (pytest.importorskip(f"opentelemetry.{name}") for name in names)
    exporter, provider = memory.InMemorySpanExporter(), sdk.TracerProvider()
    provider.add_span_processor(export.SimpleSpanProcessor(exporter))
    instrumentation.RequestsInstrumentor().instrument(tracer_provider=provider)
    try:
        with cold(live) as service:
            assert service.things.do(scene=b"bytes") == "live"
            with requests.Session() as session:
                sidefx.download_file(live.url + "/f", tmp_path / "f", session=session)
    finally:
        instrumentation.RequestsInstrumentor().uninstrument()
        provider.shutdown()
    assert [span.attributes["http.method"] for span in exporter.get_finished_spans()] == ["POST", "POST", "GET"]
    assert all(request.header("traceparent") for request in live.requests)
    assert len(live.requests) == 3


# Subclasses and hooks


class Tagging(requests.Session):
    """A session that counts requests and adds a header."""

    sent = 0

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        self.sent += 1
        request.headers["X-Studio"] = "tagged"
        return super().send(request, **kwargs)


def test_N13_session_that_overrides_send_sees_every_request(live: ScriptedServer, tmp_path: Path) -> None:
    with Tagging() as session:
        with cold(live, session=session) as service:
            assert service.things.do() == "live"
            sidefx.download_file(live.url + "/f", tmp_path / "f", session=session)
        assert session.sent == 3
    assert {request.header("X-Studio") for request in live.requests} == {"tagged"}


def read_body(response: requests.Response, *args: Any, **kwargs: Any) -> None:
    assert response.content


def raise_for_status(response: requests.Response, *args: Any, **kwargs: Any) -> None:
    response.raise_for_status()


def replace(response: requests.Response, *args: Any, **kwargs: Any) -> requests.Response:
    found = requests.Response()
    found.status_code, found.url, found.request = 200, response.url, response.request
    found._content = b'"replaced"'
    return found


def replace_raw(response: requests.Response, *args: Any, **kwargs: Any) -> None:
    response.close()
    response.headers.pop("Content-Length")
    response.raw = tempfile.TemporaryFile()  # noqa: SIM115
    response.raw.write(b"[1]")
    response.raw.seek(0)


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


# requests takes a function instead of a list, too.
@pytest.mark.parametrize(
    ("hooks", "result"),
    [([read_body], "live"), (read_body, "live"), (raise_for_status, "live"), (replace, "replaced"), (replace_raw, [1])],
)
def test_N13_hook_may_read_check_or_replace_the_response(
    hooks: Any, result: Any, live: ScriptedServer, session: requests.Session
) -> None:
    with service_of(live, session=session) as service:
        session.hooks["response"] = hooks
        assert [service.things.do() for _ in range(2)] == [result, result]


@pytest.mark.parametrize("how", [read_body, raise_for_status])
@pytest.mark.parametrize("status", [401, 403, 422, 503])
def test_N13_error_response_is_the_same_error_if_a_hook_reads_it_or_raises_for_it(
    how: Any, status: int, session: requests.Session
) -> None:
    with ScriptedServer(http_response(status, "the reason")) as server:
        session.hooks["response"].append(how)
        with service_of(server, session=session) as service:
            with pytest.raises(sidefx.APIError, match=f"^{status} the reason$"):
                service.things.do()
        assert len(server.api_requests) == (2 if status == 401 else 1)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("an error of the caller's own"),
        OSError(errno.ENOSPC, "the disk is full"),
        requests.exceptions.JSONDecodeError("the response of a login page is not JSON", "<html>", 0),
        KeyboardInterrupt(),
    ],
)
def test_N13_exception_of_a_hook_reaches_the_caller_unchanged_and_is_not_retried(
    error: BaseException, live: ScriptedServer, session: requests.Session
) -> None:
    def stop(response: requests.Response, *args: Any, **kwargs: Any) -> None:
        raise error

    with service_of(live, session=session) as service:
        session.hooks["response"].append(stop)
        with pytest.raises(type(error)) as caught:
            service.things.get_all()
        assert caught.value is error
    assert len(live.requests) == 1


def test_N13_hook_sees_the_location_of_a_redirect(session: requests.Session) -> None:
    seen: list[str | None] = []
    session.hooks["response"].append(lambda response, **kwargs: seen.append(response.headers.get("Location")))
    with ScriptedServer(http_response(302, headers={"Location": "/login"})) as server:
        with service_of(server, session=session) as service, pytest.raises(sidefx.APIError, match="redirects to"):
            service.things.do()
    assert seen == ["/login"]


# freezegun


def test_A13_wait_and_timeout_end_while_freezegun_stops_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    freezegun = pytest.importorskip("freezegun")
    script: list[Any] = [http_response(429, headers={"Retry-After": "0"}), json_response("done"), stall]
    with ScriptedServer(script) as server, freezegun.freeze_time("2025-10-01"):
        with service_of(server, access_token_expiry_time=None, timeout=0.5) as service:
            monkeypatch.setattr("sidefx_client.retry.BACKOFF", 0.6)
            assert service.things.do() == "done"
            with pytest.raises(sidefx.CallTimeout):
                service.things.do()
    assert server.requests[1].time - server.requests[0].time >= 0.4
