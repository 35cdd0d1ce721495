"""A local SideFX Web API for offline tests: ``with LocalServer() as server: service = server.service()``.

It is a real HTTP or HTTPS server on loopback. It needs the extra ``testing``, and comes with the pytest fixture
``sidefx_server``. pytest imports this package in every project, so its names are imported on first use.
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
            f"sidefx_client.testing needs {error.name}: run pip install '.[testing]' in a clone of sidefx_client"
        ) from error
    return getattr(server, name)
