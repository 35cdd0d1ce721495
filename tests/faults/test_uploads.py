"""U: uploads that are huge, change while they are sent, or cannot be sent."""

from __future__ import annotations

import hashlib
import io
import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support.case import CLIENT_ID, CLIENT_SECRET, PEAK_MEMORY, Case, without_root_privileges
from support.scripted import Connection, Request, http_response, json_response
from support.systems import needs_proc

import sidefx_client as sidefx

OK = json_response("done")
MIB = 1 << 20

UPLOADING = f"""
import sys
{PEAK_MEMORY}
import sidefx_client as sidefx
service = sidefx.service(sys.argv[3], sys.argv[4], sys.argv[2], sys.argv[1], ca_bundle=sys.argv[5] or None)
service.bugs.submit_issue(scene=sidefx.File(sys.argv[6]))
service.close()
print(peak_memory())
"""


@needs_proc
@pytest.mark.parametrize("size", [256 * MIB, pytest.param(3 << 30, marks=pytest.mark.slow)])
def test_U1_large_file_is_uploaded_in_constant_memory(case: Case, size: int) -> None:
    """The 3 GiB case takes a minute: ``pytest tests/faults/test_uploads.py -m slow``."""
    scene = case.sparse("scene.hip", size)
    server = case.server(OK, tls="good")
    arguments = (server.api_url, server.token_url, CLIENT_ID, CLIENT_SECRET, server.ca_bundle or "", str(scene))
    done = case.python(UPLOADING, *arguments, timeout=600)
    assert done.stderr == ""
    assert float(done.stdout) < 100
    (request,) = server.api_requests
    assert request.length == request.announced
    assert request.digest == digest_around_zeros(request, size)


def digest_around_zeros(request: Request, size: int) -> str:
    """Return the MD5 of a multipart body with ``size`` zeros in its last part."""
    before = request.body[: request.body.index(b"\r\n\r\n", request.body.index(b'name="scene"')) + 4]
    expected = hashlib.md5(before, usedforsecurity=False)
    for _ in range(size // MIB):
        expected.update(bytes(MIB))
    _, _, boundary = (request.header("Content-Type") or "").partition("boundary=")
    expected.update(f"\r\n--{boundary}--\r\n".encode())
    return expected.hexdigest()


def test_U2_retried_upload_is_identical_and_progress_restarts_at_zero(case: Case, tls: str | None) -> None:
    steps: list[tuple[int, int | None]] = []
    content = os.urandom(MIB)
    scene = sidefx.File(case.write("scene.hip", content), progress=lambda done, total: steps.append((done, total)))
    server, service = case.serve([http_response(429, "slow down", {"Retry-After": "0"}), OK], tls=tls)
    assert service.bugs.submit_issue(scene=scene) == "done"
    first, second = server.requests
    assert (first.digest, first.length, first.headers) == (second.digest, second.length, second.headers)
    assert {total for _, total in steps} == {MIB}
    done = [done for done, _ in steps]
    assert done[-1] == MIB
    restart = done.index(0, done.index(MIB))
    assert done[restart - 1] == MIB
    assert done[:restart] == sorted(done[:restart])
    assert done[restart:] == sorted(done[restart:])


@pytest.mark.parametrize("opened", [False, True], ids=["path", "object"])
def test_U3_growing_file_is_sent_up_to_its_announced_size(
    case: Case, tls: str | None, caplog: pytest.LogCaptureFixture, opened: bool
) -> None:
    scene = case.sparse("scene.hip", 64 * MIB)

    def grow_meanwhile(connection: Connection, request: Request) -> None:
        connection.read_body(request, limit=MIB)
        with scene.open("ab") as file:
            file.write(b"surplus" * MIB)
        connection.read_body(request)
        connection.send(OK)

    server, service = case.serve([grow_meanwhile, OK], tls=tls)
    with scene.open("rb") as file:
        assert service.bugs.submit_issue(scene=sidefx.File(file if opened else scene)) == "done"
    assert len(server.requests) == 1
    assert service.bugs.submit_issue(summary="next") == "done"
    assert server.connections == 1
    assert b"surplus" not in server.requests[1].body
    assert [record.levelname for record in caplog.records if "grew" in record.getMessage()] == ["WARNING"]


def test_U3_shrinking_file_raises_at_once(case: Case, tls: str | None) -> None:
    scene = case.sparse("scene.hip", 64 * MIB)

    def shrink_meanwhile(connection: Connection, request: Request) -> None:
        connection.read_body(request, limit=MIB)
        os.truncate(scene, MIB)
        connection.read_body(request)

    kind, words = sidefx.TransportError, "ended [0-9]+ bytes before its announced"
    error, server = case.failure([shrink_meanwhile], kind, words, tls=tls, timeout=5, upload=sidefx.File(scene))
    assert not error.may_have_executed
    assert len(server.requests) == 1


def filename_sent(request: Request) -> bytes:
    heads = [head for head in request.body.split(b"\r\n") if head.lower().startswith(b"content-disposition:")]
    assert len(heads) == 2, heads
    found = re.fullmatch(rb'Content-Disposition: form-data; name="scene"; filename="([^"]*)"', heads[1])
    assert found, heads[1]
    return found[1]


def posix_only(*values: Any) -> Any:
    return pytest.param(*values, marks=pytest.mark.skipif(os.name != "posix", reason="only POSIX has such files"))


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        posix_only(b'quo"te.hip', b"quo%22te.hip"),
        posix_only(b"line\r\nX-Injected: yes.hip", b"line%0D%0AX-Injected: yes.hip"),
        posix_only(b"dir\\back.hip", b"back.hip"),
        ("Zoë 雪.hip".encode(), "Zoë 雪.hip".encode()),
        pytest.param(
            b"not\xffutf8.hip",
            b"not?utf8.hip",
            marks=pytest.mark.skipif(sys.platform != "linux", reason="the system refuses names that are not UTF-8"),
        ),
        (b"percent%22.hip", b"percent%22.hip"),
    ],
)
def test_U4_file_names_are_escaped_on_the_wire(case: Case, tls: str | None, name: bytes, wire: bytes) -> None:
    scene = case.write(os.fsdecode(name), b"content")
    server, service = case.serve([OK, OK], tls=tls)
    service.bugs.submit_issue(scene=sidefx.File(scene))
    service.bugs.submit_issue(scene=sidefx.File(case.open(scene)))
    assert [filename_sent(request) for request in server.requests] == [wire, wire]
    assert all(request.header("X-Injected") is None for request in server.requests)


def test_U5_empty_file_is_uploaded(case: Case, tls: str | None) -> None:
    server, service = case.serve([OK], tls=tls)
    assert service.bugs.submit_issue(scene=sidefx.File(case.write("empty", b""))) == "done"
    assert filename_sent(server.requests[0]) == b"empty"
    assert re.search(rb"\r\n\r\n\r\n--\S+--\r\n$", server.requests[0].body)


@pytest.mark.parametrize("fault", [posix_only("fifo"), "directory", "missing", posix_only("unreadable")])
def test_U5_unreadable_file_raises_oserror_before_a_connection(case: Case, connects: list[Any], fault: str) -> None:
    path = case.directory / fault
    if fault == "fifo":
        os.mkfifo(path)
    elif fault == "directory":
        path.mkdir()
    elif fault == "unreadable":
        case.write(fault, b"content").chmod(0)
    _, service = case.serve()
    good = sidefx.File(case.write("good", b"content"))  # must be closed, too
    with without_root_privileges(), pytest.raises(OSError) as caught:
        service.bugs.submit_issue(good=good, scene=sidefx.File(path))
    assert not isinstance(caught.value, sidefx.SideFXError)
    assert connects == []
    path.chmod(0o700) if path.exists() else None


def test_U5_text_mode_file_raises_type_error(case: Case) -> None:
    with case.write("scene.hip", b"content").open() as text:
        for file in (text, io.StringIO("content")):
            _, server = case.failure((), TypeError, "(?i)binary", upload=sidefx.File(file))  # type: ignore[arg-type]
            assert server.connections == 0
        assert text.tell() == 0


class Generous(io.BytesIO):
    """A file object that returns more bytes than requested."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read() if size else b""


class Remote(io.BytesIO):
    """A file object that returns None from seek(), like the SFTPFile of paramiko."""

    def seek(self, offset: int, whence: int = 0) -> int:
        super().seek(offset, whence)
        return None  # type: ignore[return-value]


@pytest.mark.parametrize("kind", [Generous, Remote, tempfile.SpooledTemporaryFile])
def test_U7_odd_file_object_is_sent_from_its_position_up_to_its_size(case: Case, tls: str | None, kind: Any) -> None:
    server, service = case.serve([OK, OK], tls=tls)
    with kind() as file:
        file.write(b"beforecontentsurplus")
        file.seek(6)
        assert service.bugs.submit_issue(scene=sidefx.File(file, size=7)) == "done"
        assert service.bugs.submit_issue(summary="next") == "done"
    assert b"\r\n\r\ncontent\r\n--" in server.requests[0].body
    assert server.connections == 1


def test_U5_file_object_is_sent_from_its_position_and_left_there(case: Case, tls: str | None) -> None:
    content = os.urandom(1000)
    file = case.open(case.write("scene.hip", content), at=100)
    server, service = case.serve([OK], tls=tls)
    assert service.bugs.submit_issue(scene=sidefx.File(file)) == "done"
    assert b"\r\n\r\n" + content[100:] + b"\r\n--" in server.requests[0].body
    case.failure([http_response(422, "no")], sidefx.APIError, tls=tls, upload=sidefx.File(file))


CYCLE: list[Any] = []
CYCLE.append(CYCLE)
DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]
MISSING = sidefx.File("/nowhere/at/all")  # opening it raises OSError


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize(
    ("args", "kwargs", "place"),
    [
        ((), {"json": MISSING}, "kwargs['json']: an upload cannot be named 'json'"),
        ((MISSING,), {}, "args[0]: "),
        ((), {"f": {"a": [1, MISSING]}}, "kwargs['f']['a'][1]: Object of type File is not JSON serializable; "),
        ((float("nan"),), {}, "args[0]: Out of range float"),
        ((), {"f": {float("inf"): 1}}, "kwargs['f']"),
        ((), {"good": MISSING, "f": {1, 2}}, "kwargs['f']: Object of type set"),
        (({(1, 2): 3},), {}, "args[0]: keys must be str"),
        ((CYCLE,), {}, "args[0][0]: contains itself"),
        ((), {"f": io.BytesIO()}, "to upload a file, pass File(...)"),
        (["\ud800"], {}, "args[0]: the text contains a lone surrogate"),
        ([], {"a": [1, "x\udc80"]}, "kwargs['a'][1]: the text contains a lone surrogate"),
        ([], {"a": {"\udc80": 1}}, "kwargs['a']: the text contains a lone surrogate"),
        ([], {"\udc80": b"upload"}, "kwargs: the text contains a lone surrogate"),
        pytest.param((DEEP,), {}, "nested too deeply", id="deep"),
    ],
)
def test_U6_U9_unserializable_argument_raises_with_its_place(
    case: Case, connects: list[Any], args: Sequence[Any], kwargs: dict[str, Any], place: str
) -> None:
    _, service = case.serve()
    with pytest.raises((TypeError, ValueError), match=re.escape(place)) as caught:
        service.bugs.submit_issue(*args, **kwargs)
    assert not isinstance(caught.value, sidefx.SideFXError)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    assert connects == []


@needs_proc
def test_U7_file_of_proc_needs_a_size_or_its_bytes(case: Case, connects: list[Any]) -> None:
    server, service = case.serve([OK])
    with case.raises(ValueError, match="size="):
        service.bugs.submit_issue(scene=sidefx.File("/proc/version"))
    with case.raises(ValueError, match="size="), Path("/proc/version").open("rb") as file:
        service.bugs.submit_issue(scene=sidefx.File(file))
    assert connects == []
    assert service.bugs.submit_issue(scene=sidefx.File("/proc/version", size=5)) == "done"
    assert b"\r\n\r\nLinux\r\n--" in server.requests[0].body


def test_U7_read_without_a_result_raises_a_clear_error(case: Case) -> None:
    class Empty(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return b"" if size == 0 else None  # type: ignore[return-value]

    _, service = case.serve([lambda connection, request: connection.read_body(request)])
    with pytest.raises((TypeError, ValueError, OSError), match="None"):
        service.bugs.submit_issue(scene=sidefx.File(Empty(b"content")))


@pytest.mark.parametrize("place", ["progress", "read"])
@pytest.mark.parametrize(
    "error", [sidefx.APIError(401, "mine"), sidefx.TransportError("mine"), ConnectionError(), EOFError()]
)
def test_U8_exception_of_the_callers_code_is_raised_without_a_retry(case: Case, error: Exception, place: str) -> None:
    def fail(done: int | None, *_: object) -> bytes:
        if done:
            raise error
        return b""

    file = io.BytesIO(b"content")
    if place == "read":
        file.read = fail  # type: ignore[method-assign, assignment]
    server, service = case.serve(OK)
    with pytest.raises(type(error)) as caught:
        service.bugs.submit_issue(scene=sidefx.File(file, progress=fail if place == "progress" else None))
    assert caught.value is error
    assert len(server.requests) <= 1
    assert service.bugs.submit_issue(summary="next") == "done"


def test_U8_call_in_progress_does_not_change_the_timeout_of_the_upload(case: Case) -> None:
    def slow_for_uploads(connection: Connection, request: Request) -> None:
        connection.read_body(request)
        time.sleep(2.5 if "multipart" in str(request.header("Content-Type")) else 0)
        connection.send(OK)

    _, service = case.serve(slow_for_uploads, timeout=60)

    def progress(done: int, total: int | None) -> None:
        if not done:
            sidefx.call(service, "things.nested", timeout=2)

    assert service.bugs.submit_issue(scene=sidefx.File(io.BytesIO(b"content"), progress=progress)) == "done"
