"""Arrays go to PostgreSQL as before, and nothing but lists, tuples and ranges is taken for one."""

from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest

from libs.common.db.array_encoding import ask_by_concrete_type
from libs.common.ids import new_id

IDS = [new_id(), new_id()]


@pytest.fixture
async def connection(database_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    ask_by_concrete_type()
    made = await asyncpg.connect(database_dsn)
    yield made
    await made.close()


@pytest.mark.parametrize(
    ("kind", "sent", "kept"),
    [
        ("text[]", ["a", None, "", "{x}"], ["a", None, "", "{x}"]),
        ("bytea[]", [b"\x00", None, b""], [b"\x00", None, b""]),
        ("bigint[]", range(3), [0, 1, 2]),
        ("bigint[]", (5, None), [5, None]),
        ("uuid[]", IDS, [UUID(text) for text in IDS]),
        ("text[]", [], []),
        ("text[]", [["a", "b"], ["c", "d"]], [["a", "b"], ["c", "d"]]),
    ],
)
async def test_an_array_arrives_as_it_was_sent(
    connection: asyncpg.Connection, kind: str, sent: object, kept: object
) -> None:
    assert await connection.fetchval(f"SELECT $1::{kind}", sent) == kept


@pytest.mark.parametrize("sent", [{1, 2}, {1: 2}.keys(), "12", {1: 2}, 7])
async def test_what_is_no_array_is_refused(connection: asyncpg.Connection, sent: object) -> None:
    with pytest.raises(asyncpg.DataError, match="expected"):
        await connection.fetchval("SELECT $1::bigint[]", sent)
