"""Seals what is too long for memory, in chunks: AES-256-GCM in the STREAM construction (Hoang et al., 2015).

Each chunk says, as authenticated data, of what it is a part, which number it has and whether it is the last: one that
is missing, doubled, in another place or of another content does not open, and neither does an end that is none.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from libs.common.errors import InvariantBroken

CHUNK_BYTES: Final = 64 * 1024
_SEALED_BYTES: Final = CHUNK_BYTES + 16
"""A chunk and its tag."""
_NUMBER_BYTES: Final = 11


async def seal_stream(key: bytes, content_id: str, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """Yield the content sealed, a chunk at a time. The key, 32 bytes, must never seal anything else.

    Its chunks are numbered in the nonces: a second content under the same key would have the same ones.
    """
    cipher, number = AESGCM(key), 0
    # A full chunk waits until there is more: only then is it known not to be the last.
    async for chunk in _cut(pieces, CHUNK_BYTES):
        is_last = len(chunk) <= CHUNK_BYTES
        yield cipher.encrypt(
            _nonce(number, is_last=is_last), chunk[:CHUNK_BYTES], _meaning(content_id, number, is_last=is_last)
        )
        number += 1


async def open_stream(key: bytes, content_id: str, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """Yield the content, each chunk once it is proven, the last one only where the content ends.

    Raises: InvariantBroken when it was changed, cut off, put in another order or is something else's.
    """
    cipher, number = AESGCM(key), 0
    async for chunk in _cut(pieces, _SEALED_BYTES):
        is_last = len(chunk) <= _SEALED_BYTES
        try:
            opened = cipher.decrypt(
                _nonce(number, is_last=is_last), chunk[:_SEALED_BYTES], _meaning(content_id, number, is_last=is_last)
            )
        except InvalidTag:
            raise InvariantBroken("what was sealed opens unchanged", content_id=content_id, chunk=number) from None
        yield opened
        number += 1


async def _cut(pieces: AsyncIterator[bytes], size: int) -> AsyncGenerator[bytes]:
    """Yield chunks with a byte of the next one behind them; what has at most `size` bytes is the last, be it empty."""
    waiting = bytearray()
    async for piece in pieces:
        waiting += piece
        while len(waiting) > size:
            yield bytes(waiting[: size + 1])
            del waiting[:size]
    yield bytes(waiting)


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(_NUMBER_BYTES, "big") + bytes([is_last])


def _meaning(content_id: str, number: int, *, is_last: bool) -> bytes:
    return f"{content_id}|{number}|{'last' if is_last else 'more'}".encode()
