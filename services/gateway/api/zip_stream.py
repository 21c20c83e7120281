"""A zip archive (PKWARE APPNOTE 6.3) that is written while it is sent: never more of it in memory than a piece."""

from collections.abc import AsyncIterator
from datetime import datetime
from hashlib import sha256
from typing import IO, Final, NamedTuple, cast
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

_PIECE_BYTES: Final = 64 * 1024
_LEVEL: Final = 1
"""Of deflate: the process has other callers, and text shrinks to a tenth all the same."""


class WrittenFile(NamedTuple):
    """A file in the archive; the digest is of its content as it unpacks, in hexadecimal."""

    name: str
    bytes: int
    sha256: str


class ZipStream:
    """Writes an archive file by file. What was begun and not finished has no table of contents and does not unpack."""

    def __init__(self, made_at: datetime) -> None:
        """Begin an archive whose files all have this time."""
        self._out = _Out()
        self._zip = ZipFile(cast("IO[bytes]", self._out), "w", ZIP_DEFLATED, compresslevel=_LEVEL)
        self._made_at = made_at
        self.files: Final[list[WrittenFile]] = []

    async def add(self, name: str, texts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Add a file of these texts; yield the archive's bytes once there are enough of them."""
        made = self._made_at
        info = ZipInfo(name, (made.year, made.month, made.day, made.hour, made.minute, made.second))
        info.compress_type = ZIP_DEFLATED
        digest, size = sha256(), 0
        with self._zip.open(info, "w", force_zip64=True) as file:
            async for text in texts:
                digest.update(text)
                size += len(text)
                file.write(text)
                if self._out.size >= _PIECE_BYTES:
                    yield self._out.take()
        self.files.append(WrittenFile(name, size, digest.hexdigest()))

    def finish(self) -> bytes:
        """Write the table of contents; return what is left of the archive."""
        self._zip.close()
        return self._out.take()


class _Out:
    """Where the archive is written to: it cannot seek, so each file's length follows the file."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.size = 0

    def write(self, piece: bytes) -> int:
        self._pieces.append(bytes(piece))
        self.size += len(piece)
        return len(piece)

    def flush(self) -> None:
        """Leave everything where it is: `take` hands it on."""

    def take(self) -> bytes:
        """Return what was written since the last time."""
        taken, self._pieces, self.size = b"".join(self._pieces), [], 0
        return taken
