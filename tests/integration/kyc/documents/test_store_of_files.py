"""Sealed files in a folder, and in a bucket of a server that speaks S3: there once whole, and gone for good."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from itertools import count
from pathlib import Path

import httpx2
import pytest
from moto.server import ThreadedMotoServer

from libs.common.errors import InvariantBroken, Unavailable
from libs.common.ids import new_id
from services.kyc.store.document_files import DocumentFiles

MIB = 1024 * 1024
MIB_TAKEN = 64


class BrokenOffError(Exception):
    """Whoever sent it has left."""


async def pieces(number: int, *, breaks_off: bool = False) -> AsyncGenerator[bytes]:
    for one in range(number):
        yield bytes([one % 256]) * 65536
    if breaks_off:
        raise BrokenOffError


async def read(files: DocumentFiles, document_id: str) -> bytes:
    return b"".join([piece async for piece in files.read(document_id)])


@pytest.fixture(scope="module")
def s3() -> Iterator[ThreadedMotoServer]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["folder", "bucket"])
def files(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DocumentFiles:
    if request.param == "folder":
        return DocumentFiles((tmp_path / "documents").as_uri())
    host, port = request.getfixturevalue("s3").get_host_and_port()
    endpoint = f"http://{host}:{port}"
    assert httpx2.put(f"{endpoint}/identities").is_success
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "a key",
        "AWS_SECRET_ACCESS_KEY": "its secret",
    }.items():
        monkeypatch.setenv(name, value)
    return DocumentFiles("s3://identities/documents")


@pytest.mark.parametrize("number", [0, 1, 100, 170])
async def test_a_file_is_read_as_it_was_written_and_gone_once_deleted(files: DocumentFiles, number: int) -> None:
    document_id = new_id()
    await files.put(document_id, pieces(number))
    assert await read(files, document_id) == b"".join([piece async for piece in pieces(number)])
    await files.delete(document_id)
    await files.delete(document_id)
    with pytest.raises(InvariantBroken):
        await read(files, document_id)


@pytest.mark.parametrize("number", [10, 100])
async def test_what_breaks_off_is_no_file(files: DocumentFiles, number: int) -> None:
    document_id = new_id()
    with pytest.raises(BrokenOffError):
        await files.put(document_id, pieces(number, breaks_off=True))
    with pytest.raises(InvariantBroken):
        await read(files, document_id)


async def test_a_store_that_is_away_is_a_reason_to_try_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "its secret")
    away = DocumentFiles("s3://identities")
    (tmp_path / "documents").mkdir()
    full = DocumentFiles((tmp_path / "documents").as_uri())
    (tmp_path / "documents").rmdir()
    (tmp_path / "documents").write_bytes(b"no folder any more")
    for files in (away, full):
        with pytest.raises(Unavailable):
            await files.put(new_id(), pieces(1))
    with pytest.raises(Unavailable):
        await read(away, new_id())
    with pytest.raises(Unavailable):
        await away.delete(new_id())


async def test_whoever_leaves_leaves_no_file(tmp_path: Path) -> None:
    files = DocumentFiles(tmp_path.as_uri())
    is_long = asyncio.Event()

    async def endless() -> AsyncGenerator[bytes]:
        for number in count():
            yield bytes(MIB)
            if number == MIB_TAKEN:
                is_long.set()

    writing = asyncio.ensure_future(files.put("endless", endless()))
    await is_long.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert not (tmp_path / "endless").exists()
