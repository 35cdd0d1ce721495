"""A client for the SideFX Web API: Houdini builds, licenses, changelogs, bug reports and files.

    import sidefx_client as sidefx

    with sidefx.service() as service:
        builds = service.download.get_daily_builds_list("houdini", version="20.5", platform="linux")

A call passes these files: ``proxy`` (attribute access), ``client`` (one call, with its retries), ``wire`` (JSON and
multipart), ``auth`` and ``secret`` (the token), then in ``transport/`` ``session``, ``adapter``, ``connection`` and, on
the way back, ``response``. The files by purpose, each group in reading order:

    a call          proxy (also ``service()``), client (401), retry (Retry-After), wire (also errors of the API)
    its token       auth, secret; credentials/: find, key_files, token_cache
    its bytes       transport/: session, adapter, connection (reuse), response, multipart, failures (may_have_executed)
    its help        documented/: functions, help
    files           files (upload and stream), progress, names, atomic
    a download      downloads/: its __init__ (entry points, new URLs), transfer, workers (retries), remote, partial
    for all         errors (also the redaction of server text, and the logger), urls (refused URLs), version
                    reference (names of the vendor's wrapper)
    beside it       cli/, testing/
"""

from .downloads import download_build, download_file
from .errors import (
    APIError,
    AuthorizationError,
    CallTimeout,
    ChecksumError,
    ConfigError,
    DownloadError,
    RateLimitError,
    SideFXError,
    TransportError,
)
from .files import File, ResponseFile
from .proxy import APIFunction, Service, call, service
from .reference import _extract_traceback_from_response, call_api_with_access_token, get_access_token_and_expiry_time
from .transport.session import DEFAULT_TIMEOUT
from .version import __version__

# The names of the reference wrapper.
_Service = Service
_APIFunction = APIFunction

# Private names too, because old scripts use them through a file sidefx.py with `from sidefx_client import *`.
__all__ = [
    "DEFAULT_TIMEOUT",
    "APIError",
    "APIFunction",
    "AuthorizationError",
    "CallTimeout",
    "ChecksumError",
    "ConfigError",
    "DownloadError",
    "File",
    "RateLimitError",
    "ResponseFile",
    "Service",
    "SideFXError",
    "TransportError",
    "_APIFunction",
    "_Service",
    "__version__",
    "_extract_traceback_from_response",
    "call",
    "call_api_with_access_token",
    "download_build",
    "download_file",
    "get_access_token_and_expiry_time",
    "service",
]
