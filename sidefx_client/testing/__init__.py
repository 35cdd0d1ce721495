"""A SideFX Web API of one's own, for offline tests: ``with LocalServer() as server: service = server.service()``.

It is a real HTTP or HTTPS server on loopback. It needs ``pip install 'sidefx-client[testing]'``, and brings the pytest
fixture ``sidefx_server``. pytest loads this package in every project, hence names imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .calls import Call, Download, Refusal, Stream, Upload
    from .server import LocalServer

__all__ = ["Call", "Download", "LocalServer", "Refusal", "Stream", "Upload"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from . import server
    except ModuleNotFoundError as error:
        raise ImportError(
            f"sidefx_client.testing needs {error.name}: pip install 'sidefx-client[testing]' (in a clone: '.[testing]')"
        ) from error
    return getattr(server, name)
