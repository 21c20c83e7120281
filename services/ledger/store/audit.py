"""Everything the ledger has written, read in one snapshot for checking, a page at a time."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from services.ledger.store.checkpoints import StoredCheckpoint, load_newest_checkpoint

_PAGE: Final = 2_000
_JOURNAL: Final = """
SELECT journal_index, kind, transfer_id::text, record, leaf_hash, chain_hash
FROM ledger.journal WHERE shard = $1 AND journal_index >= $2 ORDER BY journal_index LIMIT $3
"""
_BLOCKS: Final = """
SELECT size, previous_size, root, chain_hash FROM ledger.blocks WHERE shard = $1 AND size > $2 AND previous_size < $3
ORDER BY size
"""
_HEAD: Final = "SELECT size, chain_hash, last_record_at FROM ledger.heads WHERE shard = $1"
_TILE: Final = "SELECT hashes, root FROM ledger.tree_tiles WHERE shard = $1 AND level = $2 AND tile_index = $3"
_TRANSFERS: Final = """
SELECT transfer_id::text, kind, status, version, code, reasons, journal_index, changed_at
FROM ledger.transfers WHERE transfer_id = ANY($1::uuid[])
"""
_ENTRIES: Final = """
SELECT e.account_id::text, e.seq, e.transfer_id::text, e.amount_minor, e.balance_after_minor, e.posted_at
FROM unnest($1::uuid[], $2::bigint[]) AS wanted (account_id, seq)
JOIN ledger.entries e ON e.account_id = wanted.account_id AND e.seq = wanted.seq
"""
_ACCOUNTS: Final = """
SELECT account_id::text, posted_minor, pending_in_minor, pending_out_minor, last_seq
FROM ledger.accounts WHERE account_id > $1 ORDER BY account_id LIMIT $2
"""
_COUNTS: Final = """
SELECT (SELECT count(*) FROM ledger.transfers), (SELECT count(*) FROM ledger.entries),
       (SELECT count(*) FROM ledger.checkpoints WHERE shard = $1),
       (SELECT count(*) FROM ledger.blocks WHERE shard = $1)
"""
_NO_ACCOUNT: Final = "00000000-0000-0000-0000-000000000000"


class Audit:
    """One snapshot of one shard."""

    def __init__(self, connection: asyncpg.Connection, shard: int) -> None:
        """Read over this connection, which is inside a repeatable-read transaction."""
        self._connection = connection
        self._shard = shard

    async def head(self) -> asyncpg.Record | None:
        """Return (size, chain_hash, last_record_at)."""
        return await self._connection.fetchrow(_HEAD, self._shard)

    async def journal(self) -> AsyncIterator[list[asyncpg.Record]]:
        """Yield pages of (journal_index, kind, transfer_id, record, leaf_hash, chain_hash), by index."""
        first = 0
        while page := await self._connection.fetch(_JOURNAL, self._shard, first, _PAGE):
            yield page
            first = page[-1][0] + 1

    async def blocks(self, after_size: int, size: int) -> list[asyncpg.Record]:
        """Return (size, previous_size, root, chain_hash) of the blocks that end after `after_size`, begun by `size`."""
        rows: list[asyncpg.Record] = await self._connection.fetch(_BLOCKS, self._shard, after_size, size)
        return rows

    async def tile(self, level: int, tile_index: int) -> tuple[bytes, bytes] | None:
        """Return (hashes, root) of a stored tile."""
        row = await self._connection.fetchrow(_TILE, self._shard, level, tile_index)
        return None if row is None else (row[0], row[1])

    async def newest_checkpoint(self) -> StoredCheckpoint | None:
        """Return the newest checkpoint."""
        return await load_newest_checkpoint(self._connection, self._shard)

    async def transfers(self, transfer_ids: Sequence[str]) -> dict[str, asyncpg.Record]:
        """Return the transfers' rows, by id."""
        return {row[0]: row for row in await self._connection.fetch(_TRANSFERS, transfer_ids)}

    async def entries(self, account_ids: Sequence[str], seqs: Sequence[int]) -> dict[tuple[str, int], asyncpg.Record]:
        """Return the entries at these places, by (account_id, seq)."""
        rows = await self._connection.fetch(_ENTRIES, account_ids, seqs)
        return {(row[0], row[1]): row for row in rows}

    async def accounts(self) -> AsyncIterator[list[asyncpg.Record]]:
        """Yield pages of (account_id, posted, pending in, pending out, last_seq), by id."""
        after = _NO_ACCOUNT
        while page := await self._connection.fetch(_ACCOUNTS, after, _PAGE):
            yield page
            after = page[-1][0]

    async def counts(self) -> tuple[int, int, int, int]:
        """Return how many transfers, entries, checkpoints and blocks there are."""
        row = await self._connection.fetchrow(_COUNTS, self._shard)
        return tuple(row)


@asynccontextmanager
async def open_audit(dsn: str, shard: int) -> AsyncIterator[Audit]:
    """Open one read-only snapshot; the writer goes on beside it."""
    connection = await asyncpg.connect(dsn, timeout=10, server_settings={"application_name": "ledger-audit"})
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            yield Audit(connection, shard)
    finally:
        await connection.close()
