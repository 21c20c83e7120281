"""A record's headers as JSON and back, byte for byte: what is sent again must be what came.

A header is a pair [name, value]. What is plain text stands as text, so that people can read and query it; null stays
null; anything else (bytes that are no UTF-8, NUL, which PostgreSQL's jsonb cannot hold) stands as {"base64": …}.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from typing import Any

Stored = str | dict[str, str] | None


def stored_headers(headers: Iterable[tuple[str, bytes | None]]) -> list[tuple[Stored, Stored]]:
    """Return the pairs as JSON-able values, in their order."""
    return [(_stored(name.encode("utf-8", "surrogateescape")), _stored(value)) for name, value in headers]


def original_headers(stored: Iterable[Sequence[Any]]) -> list[tuple[str, bytes | None]]:
    """Return what `stored_headers` was given."""
    return [((_original(name) or b"").decode("utf-8", "surrogateescape"), _original(value)) for name, value in stored]


def named(headers: Sequence[tuple[str, bytes | None]], message_id: str) -> list[tuple[str, bytes | None]]:
    """Return the headers with a `ce_id`: theirs, or this one where they have none or an empty one."""
    if any(name == "ce_id" and value for name, value in headers):
        return list(headers)
    return [*((name, value) for name, value in headers if name != "ce_id"), ("ce_id", message_id.encode())]


def _stored(value: bytes | None) -> Stored:
    if value is None:
        return None
    try:
        text = bytes(value).decode()
    except UnicodeDecodeError:
        text = "\x00"
    return {"base64": b64encode(value).decode()} if "\x00" in text else text


def _original(stored: Stored) -> bytes | None:
    if isinstance(stored, dict):
        return b64decode(stored["base64"])
    return None if stored is None else stored.encode()
