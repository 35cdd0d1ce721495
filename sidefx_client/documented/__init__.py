"""The documented functions: the source of dir(), help(), type checkers and hints."""
