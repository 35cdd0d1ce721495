"""The documented functions: what dir(), help() and type checkers know."""
