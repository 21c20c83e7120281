"""Signed statements that the ledger goes on under a new origin."""

from datetime import datetime

import asyncpg

_LOAD = "SELECT note FROM ledger.origins WHERE shard = $1 ORDER BY started_at, origin"
_INSERT = "INSERT INTO ledger.origins (shard, origin, started_at, note) VALUES ($1, $2, $3, $4)"


async def load_departures(connection: asyncpg.Connection, shard: int) -> list[str]:
    """Return the signed notes, oldest first; whether to believe them is for the caller's keys to say."""
    return [row[0] for row in await connection.fetch(_LOAD, shard)]


async def insert_departure(
    connection: asyncpg.Connection, *, shard: int, origin: str, started_at: datetime, note: str
) -> None:
    """Add one, for ever."""
    await connection.execute(_INSERT, shard, origin, started_at, note)
