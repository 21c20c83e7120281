"""Cursors of paged answers: opaque to callers, strict with what comes back.

A cursor says where a page ends and which question it belongs to. It is not signed: it grants nothing, since each
request is judged for itself, whoever sends which cursor.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Final, Literal, NamedTuple
from urllib.parse import urlencode

from libs.common.errors import Unprocessable

CURSOR_CHARACTERS: Final = 32
_SIDES: Final[Mapping[bytes, Literal["next", "prev"]]] = {b"n": "next", b"p": "prev"}
_POSITION_BYTES: Final = 16
# With these a cursor has 24 bytes, which fill 32 characters of base64url (RFC 4648, 5) with no bit to spare.
_QUESTION_BYTES: Final = 7


class Cursor(NamedTuple):
    """Asks for the page on this side of `position`, which itself is not on it."""

    side: Literal["next", "prev"]
    position: int


def encode_cursor(cursor: Cursor, question: Mapping[str, object]) -> str:
    """Return the cursor as text. `question` is what was asked for besides cursor and limit; None is not asked."""
    side, position = cursor
    text = side[:1].encode() + position.to_bytes(_POSITION_BYTES, "big") + _digest(question)
    return urlsafe_b64encode(text).decode()


def decode_cursor(text: str, question: Mapping[str, object], *, position_max: int) -> Cursor:
    """Read a cursor that was handed out for this same question. Raises: Unprocessable cursor_invalid."""
    try:
        plain = urlsafe_b64decode(text.encode("ascii"))
    except ValueError:
        raise _invalid() from None
    side, position = _SIDES.get(plain[:1]), int.from_bytes(plain[1 : 1 + _POSITION_BYTES], "big")
    # Written again it must be the same text: base64 decoders pass over characters that they do not know.
    if side is None or position > position_max or encode_cursor(Cursor(side, position), question) != text:
        raise _invalid()
    return Cursor(side, position)


def _digest(question: Mapping[str, object]) -> bytes:
    asked = sorted((name, str(value)) for name, value in question.items() if value is not None)
    return sha256(urlencode(asked).encode()).digest()[:_QUESTION_BYTES]


def _invalid() -> Unprocessable:
    return Unprocessable("cursor_invalid", "Use the cursor of the page before, unchanged, with the same filters.")
