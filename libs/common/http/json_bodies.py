"""JSON is UTF-8 without a byte order mark (RFC 8259, 8.1), whichever route reads it.

Python's own parser takes UTF-16, UTF-32 and a mark as well, the one of the hot routes does not: what two parsers read
differently is refused before either.
"""

import json
from collections.abc import Iterable
from typing import Final

from starlette.types import Message, Receive

from libs.common.errors import Malformed

_LOOKED_AT_BYTES: Final = 4
_UTF8: Final = "utf-8"


def has_json(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Tell whether a body is said to be JSON."""
    said = (value.partition(b";")[0].strip().lower() for name, value in headers if name == b"content-type")
    return any(one == b"application/json" or one.endswith(b"+json") for one in said)


def in_utf8(receive: Receive) -> Receive:
    """Look at the first bytes of a body as they come. Raises: Malformed `malformed_json`."""
    begun = b""

    async def looking() -> Message:
        nonlocal begun
        message = await receive()
        if len(begun) < _LOOKED_AT_BYTES:
            begun = (begun + message.get("body", b"")[:_LOOKED_AT_BYTES])[:_LOOKED_AT_BYTES]
            # Less than four bytes tell the same only if they are all.
            if len(begun) == _LOOKED_AT_BYTES or not message.get("more_body"):
                _require_utf8(begun)
        return message

    return looking


def not_json() -> Malformed:
    """Return the refusal of a body that is no JSON."""
    return Malformed("malformed_json", "The body is not valid JSON in UTF-8.")


def _require_utf8(begun: bytes) -> None:
    if json.detect_encoding(begun) != _UTF8:
        raise not_json()
