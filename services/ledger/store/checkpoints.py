"""Signed tree heads as they were written."""

from typing import NamedTuple

import asyncpg

_NEWEST = "SELECT size, note FROM ledger.checkpoints WHERE shard = $1 ORDER BY size DESC LIMIT 1"


class StoredCheckpoint(NamedTuple):
    """A signed note over the tree of `size` records."""

    size: int
    note: str


async def load_newest_checkpoint(connection: asyncpg.Connection, shard: int) -> StoredCheckpoint | None:
    """Return the newest checkpoint; None while the journal is empty."""
    row = await connection.fetchrow(_NEWEST, shard)
    return None if row is None else StoredCheckpoint(*row)
