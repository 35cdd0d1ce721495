"""Tests of the exceptions: their tree, messages and pickles."""

from __future__ import annotations

import copy
import pickle
import time

import pytest
import requests

import sidefx_client as sidefx
from sidefx_client import errors
from sidefx_client.secret import Secret

TREE = {
    sidefx.SideFXError: (Exception,),
    sidefx.ConfigError: (sidefx.SideFXError, ValueError),
    sidefx.AuthorizationError: (sidefx.SideFXError,),
    sidefx.APIError: (sidefx.SideFXError,),
    sidefx.RateLimitError: (sidefx.APIError,),
    sidefx.TransportError: (sidefx.SideFXError, requests.ConnectionError),
    sidefx.CallTimeout: (sidefx.TransportError, requests.Timeout),
    sidefx.DownloadError: (sidefx.SideFXError,),
    sidefx.ChecksumError: (sidefx.DownloadError,),
}
EXAMPLES = [
    sidefx.SideFXError("words"),
    sidefx.ConfigError("words"),
    sidefx.AuthorizationError(403, "403: words"),
    sidefx.APIError(422, "words"),
    sidefx.RateLimitError(429, "words", 7.0),
    sidefx.TransportError("words", may_have_executed=True),
    sidefx.CallTimeout("words", may_have_executed=True),
    sidefx.DownloadError("words", 404),
    sidefx.ChecksumError("words"),
]
each = pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)


def test_exception_tree() -> None:
    assert {kind: kind.__bases__ for kind in TREE} == TREE
    defined = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)}
    assert defined == set(TREE)


@each
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_exceptions_survive_pickle(error: sidefx.SideFXError, protocol: int) -> None:
    again = pickle.loads(pickle.dumps(error, protocol))
    assert type(again) is type(error)
    assert (str(again), again.args, vars(again)) == (str(error), error.args, vars(error))


@each
def test_hint_is_part_of_copies(error: sidefx.SideFXError) -> None:
    hinted = copy.copy(error)
    hinted.add_hint("try again")
    again = copy.deepcopy(hinted)
    assert again.message == f"{error.message} (try again)"
    assert again.args == (again.message,)
    assert str(again) == str(hinted)
    assert "try again" not in str(error)


@pytest.mark.parametrize("kind", [sidefx.TransportError, sidefx.CallTimeout])
def test_transport_error_holds_neither_errno_nor_request(kind: type[sidefx.TransportError]) -> None:
    error = kind("words", may_have_executed=True)
    assert isinstance(error, OSError)
    assert str(error) == "words"
    assert (error.errno, error.strerror, error.request, error.response) == (None, None, None, None)


@pytest.mark.parametrize("text", ["http://" * 30_000, r"http:\/\/" * 30_000, "Http://a,https://b" * 15_000])
def test_N14_long_text_of_urls_is_redacted_in_linear_time(text: str) -> None:
    start = time.monotonic()
    assert errors.redact(text) == text
    assert errors.redact(text + "?signature=x&y") == text + "?<redacted>"
    assert time.monotonic() - start < 5  # two minutes if each URL reads to the end of the text


SPELLINGS = {
    "form": "it%27s+a+secret+%F0%9D%84%9E",
    "HTML": "it&apos;s a secret \U0001d11e",
    "padded HTML": "it&#039;s&#032;a&#x0020;secret &#119070;",
    "JSON": "it's a secret \\ud834\\uDD1E",
}


@pytest.mark.parametrize("text", SPELLINGS.values(), ids=SPELLINGS)
def test_H16_blanks_quotes_and_symbols_of_a_secret_are_redacted_in_every_spelling(text: str) -> None:
    secret = Secret("it's a secret \U0001d11e")  # held, because live secrets are redacted
    assert errors.clean(f"<{text}>") == "<<redacted>>"
    assert secret
