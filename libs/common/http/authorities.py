"""Whom our clients believe over TLS: to read the system's authorities takes 35 ms of CPU, which is spent once."""

import ssl
from functools import cache

import httpx2


@cache
def trusted_authorities() -> ssl.SSLContext:
    """Return what a client that is told nothing would make for itself, made once in a process; pass it as `verify`."""
    return httpx2.create_ssl_context()
