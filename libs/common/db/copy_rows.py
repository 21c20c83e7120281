"""Rows in the binary format of PostgreSQL's COPY, for tables that get thousands of rows a commit.

asyncpg encodes rows when it sends them, and PostgreSQL waits meanwhile. Packing them by one format a row costs about as
much, and can be done while PostgreSQL is busy with what came before (docs/adr/0017, 0021). Source: PostgreSQL's
documentation, SQL command COPY, "Binary Format"; a field is its length (32 bits, -1 for NULL) and then its value, all
in network order.
"""

import asyncio
import struct
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg

NULL: Final = struct.pack("!i", -1)
_BEGIN: Final = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)
_END: Final = struct.pack("!h", -1)
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_TEXT_OID: Final = 25
_JSONB_VERSION: Final = b"\x01"


def uuid_value(text: str) -> bytes:
    """Return a UUID's 16 bytes. Raises: ValueError for what is none."""
    return bytes.fromhex(text.replace("-", ""))


def timestamp_value(at: datetime) -> int:
    """Return microseconds since the beginning of 2000, which is how a timestamptz travels."""
    return (at - _EPOCH) // _MICROSECOND


def field(value: bytes) -> bytes:
    """Return a field that holds these bytes."""
    return struct.pack("!i", len(value)) + value


def text_field(text: str) -> bytes:
    """Return a field of type text."""
    return field(text.encode())


def jsonb_field(text: str | None) -> bytes:
    """Return a field of type jsonb."""
    return NULL if text is None else field(_JSONB_VERSION + text.encode())


def texts_field(texts: Sequence[str]) -> bytes:
    """Return a field of type text[]."""
    if not texts:
        return field(struct.pack("!iii", 0, 0, _TEXT_OID))
    return field(struct.pack("!iiiii", 1, 0, _TEXT_OID, len(texts), 1) + b"".join(map(text_field, texts)))


async def copy_rows(
    connection: asyncpg.Connection, schema: str, table: str, columns: Sequence[str], pieces: Iterable[bytes]
) -> None:
    """Append rows, each of which begins with the number of its fields (16 bits); a piece holds some rows, whole ones.

    PostgreSQL takes in one piece while the next is made. Raises: what asyncpg raises, and what making a piece does; the
    transaction must roll back then.
    """
    source = _leaving(pieces)
    await connection.copy_to_table(table, schema_name=schema, columns=columns, source=source, format="binary")


async def _leaving(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Yield the pieces, and let the loop come round after each: what was handed over does not leave before."""
    begin = _BEGIN
    for piece in pieces:
        yield begin + piece
        begin = b""
        await asyncio.sleep(0)
    yield begin + _END
