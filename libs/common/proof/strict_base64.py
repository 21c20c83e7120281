"""Base64 (RFC 4648, section 4) with one spelling for each value, so that nobody can alter a proof unnoticed."""

from base64 import b64decode, b64encode


def encode_base64(value: bytes) -> str:
    """Return the padded base64 of the bytes."""
    return b64encode(value).decode("ascii")


def decode_base64(text: str) -> bytes:
    """Return the bytes; refuse missing padding, foreign characters and stray trailing bits with ValueError."""
    value = b64decode(text, validate=True)
    if encode_base64(value) != text:
        raise ValueError("not the base64 that its own value encodes to")
    return value
