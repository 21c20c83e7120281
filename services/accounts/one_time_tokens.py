"""Tokens that are mailed to somebody and work once. The database knows them by their hash alone."""

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Final

_TOKEN_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class OneTimeToken:
    """The text for the customer's mail, the hash for the database."""

    text: str = field(repr=False)
    sha256: bytes


def new_one_time_token() -> OneTimeToken:
    """Return a token of 256 random bits; being random, it needs no slow hash."""
    text = secrets.token_urlsafe(_TOKEN_BYTES)
    return OneTimeToken(text=text, sha256=one_time_token_hash(text))


def one_time_token_hash(text: str) -> bytes:
    """Return what the database knows of a token."""
    return hashlib.sha256(text.encode()).digest()
