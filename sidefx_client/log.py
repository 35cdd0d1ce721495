"""The logger of this package: a DEBUG line for each request, a WARNING for each retry."""

from __future__ import annotations

import logging

logger = logging.getLogger("sidefx_client")
logger.addHandler(logging.NullHandler())  # silent until the application asks, as libraries are
