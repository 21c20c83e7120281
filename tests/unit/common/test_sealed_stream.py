"""A long content sealed in chunks opens as it was, and not at all if anything of it was moved, cut or changed."""

from collections.abc import AsyncIterator, Callable

import pytest

from libs.common.errors import InvariantBroken
from libs.common.personal.sealed_stream import CHUNK_BYTES, open_stream, seal_stream

KEY = bytes(range(32))
SEALED_BYTES = CHUNK_BYTES + 16


async def in_pieces(content: bytes, size: int) -> AsyncIterator[bytes]:
    for begins in range(0, len(content), size):
        yield content[begins : begins + size]


async def sealed(content: bytes, *, size: int = 1000, content_id: str = "one") -> bytes:
    return b"".join([piece async for piece in seal_stream(KEY, content_id, in_pieces(content, size))])


async def opened(content: bytes, *, size: int = 1000, content_id: str = "one", key: bytes = KEY) -> bytes:
    return b"".join([piece async for piece in open_stream(key, content_id, in_pieces(content, size))])


@pytest.mark.parametrize("length", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
async def test_it_opens_as_it_was_whatever_its_length_and_its_pieces(length: int) -> None:
    content = bytes(number % 251 for number in range(length))
    for size in (777, CHUNK_BYTES, 10 * CHUNK_BYTES):
        cipher = await sealed(content, size=size)
        assert len(cipher) == length + 16 * max(1, -(-length // CHUNK_BYTES))
        assert await opened(cipher, size=size) == content


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda raw: raw[:-SEALED_BYTES], id="without its last chunk"),
        pytest.param(lambda raw: raw[SEALED_BYTES:], id="without its first chunk"),
        pytest.param(lambda raw: raw[:SEALED_BYTES] + raw[2 * SEALED_BYTES :], id="without one in the middle"),
        pytest.param(
            lambda raw: raw[SEALED_BYTES : 2 * SEALED_BYTES] + raw[:SEALED_BYTES] + raw[2 * SEALED_BYTES :],
            id="reordered",
        ),
        pytest.param(lambda raw: raw[:SEALED_BYTES] + raw, id="with a chunk twice"),
        pytest.param(lambda raw: raw + raw[-SEALED_BYTES:], id="with its end twice"),
        pytest.param(lambda raw: raw[:-1], id="a byte shorter"),
        pytest.param(lambda raw: raw + b"\0", id="a byte longer"),
        pytest.param(lambda raw: bytes([raw[0] ^ 1]) + raw[1:], id="changed at its beginning"),
        pytest.param(lambda _: b"", id="empty"),
    ],
)
async def test_it_does_not_open(damage: Callable[[bytes], bytes]) -> None:
    cipher = await sealed(bytes(4 * CHUNK_BYTES))
    with pytest.raises(InvariantBroken):
        await opened(damage(cipher))


async def test_it_does_not_open_as_another_content_or_under_another_key() -> None:
    cipher = await sealed(b"an identity card")
    with pytest.raises(InvariantBroken):
        await opened(cipher, content_id="two")
    with pytest.raises(InvariantBroken):
        await opened(cipher, key=bytes(32))


async def test_what_is_proven_comes_before_what_is_not_and_no_byte_of_the_rest() -> None:
    cipher = await sealed(bytes(3 * CHUNK_BYTES))
    stream = open_stream(KEY, "one", in_pieces(cipher[:-1], 5000))
    assert len(await anext(stream)) == CHUNK_BYTES
    assert len(await anext(stream)) == CHUNK_BYTES
    with pytest.raises(InvariantBroken):
        await anext(stream)
