"""A certificate authority for the local server over TLS, created once per process because that is slow."""

from __future__ import annotations

import functools
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import trustme


@functools.lru_cache(maxsize=1)
def authority() -> trustme.CA:
    """Return the authority to trust."""
    # The import takes a tenth of a second, so servers without TLS avoid it.
    import trustme

    return trustme.CA()


@functools.lru_cache(maxsize=1)
def server_context() -> ssl.SSLContext:
    """Return the server's TLS context, with a certificate for localhost and 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    authority().issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context
