"""Has documents looked into by `inspect_document.py`, each in a process that is killed afterwards, whatever it does."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from libs.common.errors import Unavailable
from services.kyc.domain.documents import (
    DOCUMENT_BYTES_MAX,
    DOCUMENT_REFUSALS,
    PAGES_MAX,
    PIXELS_MAX,
    STORED_BYTES_MAX,
    MediaType,
    refusal_of,
)

_PROGRAM: Final = Path(__file__).with_name("inspect_document.py")
_MEMORY_BYTES_MAX: Final = 768 * 1024 * 1024
"""Two copies of the largest image at four bytes a pixel, the document itself and what decodes it."""
_CPU_SECONDS_MAX: Final = 20
_SECONDS_MAX: Final = 60.0
"""By the clock on the wall: a busy machine must not make a document a bad one."""
_PIECE_BYTES: Final = 64 * 1024
_DECODED_AT_ONCE_MAX: Final = 2


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found: `bytes` is how long the document is, written anew; `pages` only a PDF has."""

    pages: int | None
    bytes: int


class DocumentInspector:
    """Starts a process a document; a few of them decode at once, which bounds the memory of all."""

    def __init__(self) -> None:
        """Begin with none."""
        self._decoding: Final = asyncio.Semaphore(_DECODED_AT_ONCE_MAX)

    @asynccontextmanager
    async def inspecting(self, declared: MediaType) -> AsyncIterator["Inspection"]:
        """Begin to look at a document of this type; the process is gone when the block ends."""
        bounds = {
            "declared": declared,
            "bytes_max": DOCUMENT_BYTES_MAX,
            "stored_bytes_max": STORED_BYTES_MAX,
            "pixels_max": PIXELS_MAX,
            "pages_max": PAGES_MAX,
            "memory_bytes_max": _MEMORY_BYTES_MAX,
            "cpu_seconds_max": _CPU_SECONDS_MAX,
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            str(_PROGRAM),
            json.dumps(bounds),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={},  # nothing of ours: neither master keys' places nor passwords
            cwd="/",
        )
        inspection = Inspection(process, self._decoding)
        try:
            yield inspection
        finally:
            await inspection.end()


class Inspection:
    """One document on its way through: fed piece by piece, judged, and read again as it is to be kept."""

    def __init__(self, process: asyncio.subprocess.Process, decoding: asyncio.Semaphore) -> None:
        """Use this process, once one of the places to decode is free."""
        assert process.stdin is not None  # noqa: S101 -- it was started with pipes
        assert process.stdout is not None  # noqa: S101 -- as above
        self._process = process
        self._input = process.stdin
        self._output = process.stdout
        self._decoding = decoding
        self._is_decoding = False
        self._bytes_to_come = 0

    async def feed(self, piece: bytes) -> None:
        """Hand on a piece of the document; a process that has died says so in its verdict."""
        if self._input.is_closing():
            return
        try:
            self._input.write(piece)
            await self._input.drain()
        except (BrokenPipeError, ConnectionResetError):
            self._input.close()

    async def verdict(self) -> Looked:
        """Say that this was all, and return what was found.

        Raises: Unprocessable with one of the codes in `DOCUMENT_REFUSALS`; Unavailable when it takes too long.
        """
        await self._decoding.acquire()
        self._is_decoding = True
        self._input.close()  # it decodes nothing before it has seen the end
        try:
            async with asyncio.timeout(_SECONDS_MAX):
                line = await self._output.readline()
        except TimeoutError:
            raise Unavailable("overloaded", "The document could not be read in time; send it again.") from None
        said: dict[str, Any] = json.loads(line) if line.endswith(b"\n") else {"refused": "document_unreadable"}
        if "refused" in said:
            code = said["refused"] if said["refused"] in DOCUMENT_REFUSALS else "document_unreadable"
            raise refusal_of(code)
        # The process may be somebody else's by now: it is told no more than it must, and believed no more either.
        if not 0 < said["bytes"] <= STORED_BYTES_MAX:
            raise refusal_of("document_unreadable")
        self._bytes_to_come = said["bytes"]
        return Looked(pages=said["pages"], bytes=said["bytes"])

    async def content(self) -> AsyncGenerator[bytes]:
        """Yield the document as it was written anew.

        Raises: Unprocessable when it is shorter or longer than was said, as when the process dies.
        """
        while self._bytes_to_come >= 0 and (piece := await self._output.read(_PIECE_BYTES)):
            self._bytes_to_come -= len(piece)
            yield piece
        if self._bytes_to_come:
            raise refusal_of("document_unreadable")

    async def end(self) -> None:
        """Kill the process and wait until it is gone."""
        if self._is_decoding:
            self._decoding.release()
        if self._process.returncode is None:
            self._process.kill()
        self._input.close()
        while await self._output.read(_PIECE_BYTES):
            pass  # what it had still written; its pipe is let go only then
        await self._process.wait()
