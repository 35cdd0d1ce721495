"""The system that runs the tests, and markers for tests that need a feature of it."""

from __future__ import annotations

import sys

import pytest

HAS_PROC = sys.platform == "linux"  # Wine shows /proc too, but it is that of another process

needs_proc = pytest.mark.skipif(not HAS_PROC, reason="reads /proc of Linux")
