"""Rows in the binary format of PostgreSQL's COPY, for tables that get thousands of rows a commit.

asyncpg encodes rows when it sends them, and PostgreSQL waits meanwhile. Packing them by one format a row costs about as
much, and can be done while PostgreSQL is still busy with the statement before (docs/adr/0017). Source: PostgreSQL's
documentation, SQL command COPY, "Binary Format"; a field is its length (32 bits, -1 for NULL) and then its value, all
in network order.
"""

import struct
from collections.abc import Iterable, Sequence
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


def copy_body(rows: Iterable[bytes]) -> bytes:
    """Return what COPY reads, of rows that each begin with the number of their fields (16 bits)."""
    return b"".join((_BEGIN, *rows, _END))


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
    connection: asyncpg.Connection, schema: str, table: str, columns: Sequence[str], body: bytes
) -> None:
    """Append the rows of `body`. Raises: what asyncpg raises; the transaction must roll back then."""
    source = memoryview(body)  # bytes would be taken for the path of a file
    await connection.copy_to_table(table, schema_name=schema, columns=columns, source=source, format="binary")
