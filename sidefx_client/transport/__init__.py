"""Bytes to a server and back: the only package that knows the machinery of requests and urllib3.

A request goes ``prepared`` -> ``session`` (how a host is reached) -> ``adapter`` (pools, TLS) -> ``connection``; its
answer comes back through ``head`` and ``headers`` to ``answer``, the one way in which a body is read. ``multipart`` is
the body of an upload. What these libraries raise is told in words of our own by ``failures``.
"""
