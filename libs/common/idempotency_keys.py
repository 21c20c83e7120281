"""Idempotency keys as callers write them (draft-ietf-httpapi-idempotency-key-header)."""

import re
from typing import Any, Final

from libs.common.errors import Malformed
from libs.common.field_errors import field_error

KEY_SCHEMA: Final[dict[str, object]] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "pattern": '^("[!-~]{2,254}|[!#-~][!-~]{0,254})$',
}
"""For OpenAPI: what `read_key` takes."""
KEY_HEADER: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "1 to 255 printable ASCII characters, kept for ever. Same key, same body: the first outcome again.",
    "schema": KEY_SCHEMA,
    "example": "rent-2026-03",
}
"""For OpenAPI: the header of a route that needs a key."""
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


def read_key(header: str | None) -> str:
    """Return the key, with or without the quotes of a structured-field string.

    Raises: Malformed idempotency_key_missing, idempotency_key_invalid.
    """
    if header is None:
        raise Malformed(
            "idempotency_key_missing",
            "Send an Idempotency-Key header: 1 to 255 printable ASCII characters.",
            errors=[field_error("header", ["Idempotency-Key"], "It is missing.")],
        )
    key = header[1:-1] if len(header) >= 2 and header[0] == header[-1] == '"' else header  # noqa: PLR2004 -- two quotes
    if not _KEY.fullmatch(key):
        raise Malformed(
            "idempotency_key_invalid",
            "An Idempotency-Key has 1 to 255 printable ASCII characters, no spaces.",
            errors=[field_error("header", ["Idempotency-Key"], "It is empty, too long, or has other characters.")],
        )
    return key


def require_readable(header: str | None) -> None:
    """Let pass a key where none is needed, or none at all. Raises: Malformed idempotency_key_invalid."""
    if header is not None:
        read_key(header)
