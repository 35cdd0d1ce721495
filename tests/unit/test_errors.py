"""Tests of the exceptions: their tree, messages and pickles."""

from __future__ import annotations

import copy
import html
import json
import pickle
import re
import time
import urllib.parse

import pytest
import requests

import sidefx_client as sidefx
from sidefx_client import errors
from sidefx_client.secret import Secret

EXAMPLES: dict[sidefx.SideFXError, tuple[type, ...]] = {  # with their base classes
    sidefx.SideFXError("words"): (Exception,),
    sidefx.ConfigError("words"): (sidefx.SideFXError, ValueError),
    sidefx.AuthorizationError(403, "403: words"): (sidefx.SideFXError,),
    sidefx.APIError(422, "words"): (sidefx.SideFXError,),
    sidefx.RateLimitError(429, "words", 7.0): (sidefx.APIError,),
    sidefx.TransportError("words", may_have_executed=True): (sidefx.SideFXError, requests.ConnectionError),
    sidefx.CallTimeout("words", may_have_executed=True): (sidefx.TransportError, requests.Timeout),
    sidefx.DownloadError("words", 404): (sidefx.SideFXError,),
    sidefx.ChecksumError("words"): (sidefx.DownloadError,),
}


def test_exception_tree() -> None:
    assert {type(error): type(error).__bases__ for error in EXAMPLES} == {type(e): EXAMPLES[e] for e in EXAMPLES}
    defined = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)}
    assert defined == set(map(type, EXAMPLES))


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_exceptions_survive_copy_and_pickle_with_their_hint(error: sidefx.SideFXError, protocol: int) -> None:
    hinted = copy.copy(error)
    hinted.add_hint("try again")
    assert "try again" not in str(error)
    for again in (hinted, copy.deepcopy(hinted), pickle.loads(pickle.dumps(hinted, protocol))):
        assert (type(again), again.message) == (type(error), f"{error.message} (try again)")
        assert (str(again), again.args, vars(again)) == (str(hinted), (again.message,), vars(hinted))


def test_H16_query_with_quotes_is_redacted() -> None:
    assert errors.clean("at https://h.example/x?a='b'&sig=5ec4e7 now") == "at https://h.example/x?<redacted> now"


@pytest.mark.parametrize("text", ["http://" * 30_000, r"http:\/\/" * 30_000, "Http://a,https://b" * 15_000])
def test_N14_long_text_of_urls_is_redacted_in_linear_time(text: str) -> None:
    start = time.monotonic()
    assert errors.redact(text) == text
    assert errors.redact(text + "?signature=x&y") == text + "?<redacted>"
    assert time.monotonic() - start < 5  # two minutes if each URL reads to the end of the text


WORD, TEXT = 'secret/with+"special"&<signs>=', "it's a secret \U0001d11e"
SPELLINGS = {
    "URL": (WORD, urllib.parse.quote(WORD, safe="")),
    "form": (WORD, urllib.parse.quote_plus(WORD).lower()),
    "HTML": (WORD, html.escape(WORD)),
    "JSON": (WORD, json.dumps(WORD)[1:-1].replace("/", "\\/")),
    "JSON of a web page": (WORD, re.sub("[<>&]", lambda sign: f"\\u{ord(sign[0]):04X}", json.dumps(WORD)[1:-1])),
    "form with blanks": (TEXT, "it%27s+a+secret+%F0%9D%84%9E"),
    "HTML with quotes": (TEXT, "it&apos;s a secret \U0001d11e"),
    "padded HTML": (TEXT, "it&#039;s&#032;a&#x0020;secret &#119070;"),
    "JSON with pairs": (TEXT, "it's a secret \\ud834\\uDD1E"),
}


@pytest.mark.parametrize(("secret", "text"), SPELLINGS.values(), ids=SPELLINGS)
def test_H16_secret_is_redacted_in_every_spelling(secret: str, text: str) -> None:
    held = Secret(secret)  # live secrets are redacted
    assert errors.clean(f"<{secret}> <{text}>") == "<<redacted>> <<redacted>>"
    assert held
