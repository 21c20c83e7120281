"""What makes two requests that have one idempotency key the same request."""

from hashlib import sha256
from typing import Any

# tidy: allow impure-value-code: encodes the request's own type, in one fixed order
import msgspec

_encode = msgspec.json.Encoder(order="deterministic").encode


def hash_body(request: Any) -> bytes:
    """Return the SHA-256 of the request as understood: spelling and order of its JSON do not matter."""
    return sha256(_encode(request)).digest()
