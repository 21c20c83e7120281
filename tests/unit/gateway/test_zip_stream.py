"""An archive that is written while it is sent: whole at the end, small in memory, unreadable if it broke off."""

import io
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from hashlib import sha256
from zipfile import BadZipFile, ZipFile

import pytest

from services.gateway.api.zip_stream import ZipStream

NOON = datetime(2026, 3, 1, 12, 30, 2, tzinfo=UTC)


async def texts(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def test_what_was_added_unpacks_with_its_time_and_digest() -> None:
    archive = ZipStream(NOON)
    sent = b""
    for name, content in (("a.json", b"[1, 2]"), ("b/c.json", b"{}" * 500), ("empty.json", b"")):
        async for piece in archive.add(name, texts(content[:3], content[3:])):
            sent += piece
    sent += archive.finish()
    with ZipFile(io.BytesIO(sent)) as unpacked:
        assert unpacked.testzip() is None
        assert unpacked.infolist()[0].date_time == (2026, 3, 1, 12, 30, 2)
        for file in archive.files:
            content = unpacked.read(file.name)
            assert (file.bytes, file.sha256) == (len(content), sha256(content).hexdigest())
        assert unpacked.namelist() == ["a.json", "b/c.json", "empty.json"]


async def test_no_more_than_a_piece_is_kept_however_long_a_file_is() -> None:
    chance = random.Random(7)
    noise = [chance.randbytes(10_000) for _ in range(200)]
    archive = ZipStream(NOON)
    pieces = [len(piece) async for piece in archive.add("long.bin", texts(*noise))]
    assert len(pieces) > 20
    assert max(pieces) < 200_000
    assert len(archive.finish()) < 200_000


async def test_what_broke_off_does_not_unpack() -> None:
    archive = ZipStream(NOON)
    noise = random.Random(7).randbytes(200_000)
    sent = b"".join([piece async for piece in archive.add("a.bin", texts(noise))])
    with pytest.raises(BadZipFile):
        ZipFile(io.BytesIO(sent))
