"""Requests to a server and responses from it: the only package that uses internals of requests and urllib3.

A request passes ``session`` (settings per host), ``adapter`` (pools, TLS) and ``connection``. The body of its response
is read by ``response``. ``multipart`` is the body of an upload. ``failures`` translates the libraries' exceptions.
"""
