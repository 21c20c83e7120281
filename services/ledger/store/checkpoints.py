"""Signed tree heads as they were written."""

from typing import NamedTuple

import asyncpg

_NEWEST = "SELECT size, note FROM ledger.checkpoints WHERE shard = $1 ORDER BY size DESC LIMIT 1"
_JOURNAL_SIZE = "SELECT coalesce(max(journal_index) + 1, 0) FROM ledger.journal WHERE shard = $1"


class StoredCheckpoint(NamedTuple):
    """A signed note over the tree of `size` records."""

    size: int
    note: str


async def load_newest_checkpoint(connection: asyncpg.Connection, shard: int) -> StoredCheckpoint | None:
    """Return the newest checkpoint; None while the journal is empty."""
    row = await connection.fetchrow(_NEWEST, shard)
    return None if row is None else StoredCheckpoint(*row)


async def load_journal_size(connection: asyncpg.Connection, shard: int) -> int:
    """Return how many records the journal has, by the records themselves."""
    size: int = await connection.fetchval(_JOURNAL_SIZE, shard)
    return size
