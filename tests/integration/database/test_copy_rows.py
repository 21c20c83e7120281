"""What is packed for COPY arrives as asyncpg reads it, value by value."""

import struct
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import pytest

from libs.common.db.copy_rows import (
    NULL,
    copy_rows,
    field,
    jsonb_field,
    text_field,
    texts_field,
    timestamp_value,
    uuid_value,
)

ID = "0193a5d0-7a3c-7e2b-9d41-5f6b8c7d9e0f"


@pytest.fixture
async def connection(database_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    made = await asyncpg.connect(database_dsn)
    yield made
    await made.close()


@pytest.mark.parametrize(
    ("kind", "sent", "kept"),
    [
        ("text", text_field("grün"), "grün"),
        ("text", text_field(""), ""),
        ("text", NULL, None),
        ("text[]", texts_field(()), []),
        ("text[]", texts_field(("kyc_pending", "", "{é,}")), ["kyc_pending", "", "{é,}"]),
        ("jsonb", jsonb_field('{"needed_minor": 1}'), '{"needed_minor": 1}'),
        ("jsonb", jsonb_field(None), None),
        ("uuid", field(uuid_value(ID)), UUID(ID)),
        ("bytea", field(b"\x00\xff"), b"\x00\xff"),
        *(
            ("timestamptz", field(struct.pack("!q", timestamp_value(at))), at)
            for at in (datetime(2026, 11, 22, 10, 0, 0, 123_457, UTC), datetime(1999, 12, 31, 23, 59, 59, 1, UTC))
        ),
    ],
)
async def test_a_field_arrives_as_it_was_packed(
    connection: asyncpg.Connection, kind: str, sent: bytes, kept: object
) -> None:
    await connection.execute(f"CREATE TEMPORARY TABLE packed (value {kind})")
    await copy_rows(connection, "pg_temp", "packed", ["value"], [struct.pack("!h", 1) + sent] * 2)
    # An array that begins at another number than 1 reads the same, and is another.
    rows = await connection.fetch(f"SELECT value, value IS NOT DISTINCT FROM $1::{kind} FROM packed", kept)
    assert [tuple(row) for row in rows] == [(kept, True), (kept, True)]


async def test_no_rows_are_none(connection: asyncpg.Connection) -> None:
    await connection.execute("CREATE TEMPORARY TABLE packed (value text)")
    await copy_rows(connection, "pg_temp", "packed", ["value"], [])
    assert await connection.fetchval("SELECT count(*) FROM packed") == 0


def test_what_is_no_uuid_is_refused() -> None:
    with pytest.raises(ValueError, match="hexadecimal"):
        uuid_value("nobody's")


async def test_pieces_arrive_in_their_order(connection: asyncpg.Connection) -> None:
    await connection.execute("CREATE TEMPORARY TABLE packed (value text)")
    rows = [struct.pack("!h", 1) + text_field(f"{number:06}" * 10_000) for number in range(20)]
    await copy_rows(connection, "pg_temp", "packed", ["value"], (rows[at] + rows[at + 1] for at in range(0, 20, 2)))
    kept = await connection.fetch("SELECT left(value, 6) FROM packed ORDER BY ctid")
    assert [int(row[0]) for row in kept] == list(range(20))


async def test_a_piece_that_cannot_be_made_leaves_nothing_and_the_connection_as_it_was(
    connection: asyncpg.Connection,
) -> None:
    def pieces() -> Iterator[bytes]:
        yield struct.pack("!h", 1) + text_field("first")
        raise ZeroDivisionError

    await connection.execute("CREATE TEMPORARY TABLE packed (value text)")
    with pytest.raises(ZeroDivisionError):
        async with connection.transaction():
            await copy_rows(connection, "pg_temp", "packed", ["value"], pieces())
    assert await connection.fetchval("SELECT count(*) FROM packed") == 0
