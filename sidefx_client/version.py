"""The version of this package; the one place that names it."""

__version__ = "1.1.0"
