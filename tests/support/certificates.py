"""Certificates of the test servers, made once per process: a valid one, and three that a client must refuse."""

from __future__ import annotations

import atexit
import datetime
import functools
import ssl
import tempfile
from pathlib import Path

import trustme

AUTHORITY = trustme.CA()
NAMES = ("127.0.0.1", "localhost")
# Kept until the process exits, because requests takes a bundle by path only.
_DIRECTORY = tempfile.TemporaryDirectory(prefix="tests-ca-")
atexit.register(_DIRECTORY.cleanup)
CA_BUNDLE = str(Path(_DIRECTORY.name, "ca.pem"))
AUTHORITY.cert_pem.write_to_path(CA_BUNDLE)


@functools.cache
def server_context(kind: str) -> ssl.SSLContext:
    """Return an SSLContext with a "good", "wrong-name", "expired" or "self-signed" certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if kind == "self-signed":
        stranger = trustme.CA()
        with stranger.private_key_pem.tempfile() as key, stranger.cert_pem.tempfile() as certificate:
            context.load_cert_chain(certificate, key)
        return context
    past = datetime.datetime(2001, 1, 1)
    certificates = {
        "good": lambda: AUTHORITY.issue_cert(*NAMES),
        "wrong-name": lambda: AUTHORITY.issue_cert("elsewhere.invalid"),
        "expired": lambda: AUTHORITY.issue_cert(*NAMES, not_before=past, not_after=past.replace(year=2002)),
    }
    certificates[kind]().configure_cert(context)
    return context
