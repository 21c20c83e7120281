"""The ledger's tables as an auditor reads them: one snapshot, large pages, columns instead of rows.

A page is `PAGE` journal indexes wide. PostgreSQL turns its rows into an array per column, which costs a third of rows,
and the three large tables are read over a connection each, so that it works on the next pages while one is checked.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from typing import Any, Final, NamedTuple

import asyncpg

from services.ledger.store.checkpoints import StoredCheckpoint, load_newest_checkpoint
from services.ledger.store.tiles import StoredTiles

PAGE: Final = 8_192
_LANES: Final = 4
_SETTINGS: Final = {
    "application_name": "ledger-audit",
    "jit": "off",
    # One more core for the writer beside us.
    "max_parallel_workers_per_gather": "0",
    "work_mem": "64MB",
}
_CONNECT_SECONDS: Final = 10.0

_END: Final = "SELECT coalesce(max(journal_index) + 1, 0) FROM ledger.journal WHERE shard = $1"
_JOURNAL: Final = """
SELECT array_agg(journal_index), array_agg(kind), array_agg(transfer_id), array_agg(record),
       string_agg(leaf_hash, ''::bytea), string_agg(chain_hash, ''::bytea)
FROM (SELECT journal_index, kind, coalesce(transfer_id::text, '') AS transfer_id, record, leaf_hash, chain_hash
      FROM ledger.journal WHERE shard = $1 AND journal_index >= $2 AND journal_index < $3 ORDER BY journal_index) j
"""
_ENTRY_COLUMNS: Final = """
array_agg(journal_index), array_agg(account_id::text), array_agg(seq), array_agg(transfer_id::text),
array_agg(amount_minor), array_agg(balance_after_minor), array_agg(date_part('epoch', posted_at))
"""
_ALL_ENTRIES: Final = f"""
SELECT page, {_ENTRY_COLUMNS}
FROM (SELECT journal_index / {PAGE} AS page, * FROM ledger.entries ORDER BY 1, journal_index, account_id, seq) e
GROUP BY page ORDER BY page
"""  # noqa: S608 -- made of constants written here
_SOME_ENTRIES: Final = f"""
SELECT {_ENTRY_COLUMNS}
FROM (SELECT e.* FROM unnest($1::uuid[], $2::bigint[]) AS wanted (account_id, seq)
      JOIN ledger.entries e ON e.account_id = wanted.account_id AND e.seq = wanted.seq
      ORDER BY e.journal_index, e.account_id, e.seq) e
"""  # noqa: S608 -- made of constants written here
_TRANSFER_COLUMNS: Final = """
array_agg(journal_index), array_agg(transfer_id::text), array_agg(shard), array_agg(kind), array_agg(status),
array_agg(version), array_agg(code), array_agg(array_to_string(reasons, ',')), array_agg(date_part('epoch', changed_at))
"""
_ALL_TRANSFERS: Final = f"""
SELECT page, {_TRANSFER_COLUMNS}
FROM (SELECT journal_index / {PAGE} AS page, * FROM ledger.transfers ORDER BY 1, journal_index, transfer_id) t
GROUP BY page ORDER BY page
"""  # noqa: S608 -- made of constants written here
_SOME_TRANSFERS: Final = f"""
SELECT {_TRANSFER_COLUMNS}
FROM (SELECT * FROM ledger.transfers WHERE transfer_id = ANY($1::uuid[]) AND journal_index >= $2 AND journal_index < $3
      ORDER BY journal_index, transfer_id) t
"""  # noqa: S608 -- made of constants written here
_BLOCKS: Final = """
SELECT b.size, b.previous_size, b.root, b.chain_hash, date_part('epoch', b.sealed_at) AS sealed_at, c.note
FROM ledger.blocks b LEFT JOIN ledger.checkpoints c ON c.shard = b.shard AND c.size = b.size
WHERE b.shard = $1 AND b.size > $2 AND b.previous_size < $3 ORDER BY b.size
"""
_HEAD: Final = """
SELECT size, chain_hash, date_part('epoch', last_record_at) AS last_record_at, published_size, halted
FROM ledger.heads WHERE shard = $1
"""
_TILES: Final = """
SELECT tile_index, hashes, root FROM ledger.tree_tiles
WHERE shard = $1 AND level = $2 AND tile_index = ANY($3::bigint[])
"""
_COUNTS: Final = """
SELECT (SELECT count(*) FROM ledger.blocks WHERE shard = $1 AND size <= $2) AS blocks,
       (SELECT count(*) FROM ledger.checkpoints WHERE shard = $1 AND size <= $2) AS checkpoints,
       (SELECT count(*) FROM ledger.tree_tiles WHERE shard = $1) AS tree_tiles
"""
_BEYOND: Final = """
SELECT (SELECT max(size) FROM ledger.blocks WHERE shard = $1) AS blocks,
       (SELECT max(size) FROM ledger.checkpoints WHERE shard = $1) AS checkpoints
"""
_ACCOUNTS: Final = """
SELECT account_id::text, asset, kind, status, posted_minor, pending_in_minor, pending_out_minor, minimum_minor,
       maximum_minor, last_seq
FROM ledger.accounts WHERE account_id > $1 ORDER BY account_id LIMIT $2
"""
# Where an account's entries end is one look into their index.
_UNBALANCED: Final = """
SELECT a.account_id::text, a.posted_minor, a.last_seq, coalesce(e.balance_after_minor, 0) AS balance_after_minor,
       coalesce(e.seq, 0) AS seq, e.journal_index
FROM ledger.accounts a
LEFT JOIN LATERAL (SELECT seq, balance_after_minor, journal_index FROM ledger.entries e
                   WHERE e.account_id = a.account_id ORDER BY seq DESC LIMIT 1) e ON true
WHERE a.posted_minor <> coalesce(e.balance_after_minor, 0) OR a.last_seq <> coalesce(e.seq, 0)
ORDER BY a.account_id LIMIT $1
"""
# `$1` to `$6` put accounts back to what they were: so the text is that of an earlier state of the books.
_STATE: Final = """
SELECT account_id, posted_minor, pending_in_minor, pending_out_minor, last_seq
FROM (SELECT a.account_id, coalesce(w.posted_minor, a.posted_minor) AS posted_minor,
             coalesce(w.pending_in_minor, a.pending_in_minor) AS pending_in_minor,
             coalesce(w.pending_out_minor, a.pending_out_minor) AS pending_out_minor,
             coalesce(w.last_seq, a.last_seq) AS last_seq
      FROM ledger.accounts a
      LEFT JOIN unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
          AS w (account_id, posted_minor, pending_in_minor, pending_out_minor, last_seq)
          ON w.account_id = a.account_id) s
WHERE last_seq > 0 OR pending_in_minor <> 0 OR pending_out_minor <> 0 OR posted_minor <> 0
ORDER BY account_id
"""
_BALANCES: Final = """
SELECT account_id::text, posted_minor, pending_in_minor, pending_out_minor, last_seq
FROM ledger.accounts WHERE account_id = ANY($1::uuid[])
"""
_NO_ACCOUNT: Final = "00000000-0000-0000-0000-000000000000"
_ACCOUNT_PAGE: Final = 5_000
_ROWS_AHEAD: Final = 1_000
_ACCOUNT_ENTRIES: Final = """
SELECT e.seq, e.journal_index, e.transfer_id::text, e.amount_minor, e.balance_after_minor,
       date_part('epoch', e.posted_at) AS posted_at
FROM ledger.entries e WHERE e.account_id = $1 AND e.seq > $2 ORDER BY e.seq LIMIT $3
"""
_RECORDS: Final = """
SELECT journal_index, kind, coalesce(transfer_id::text, '') AS transfer_id, record, leaf_hash, chain_hash
FROM ledger.journal WHERE shard = $1 AND journal_index = ANY($2::bigint[]) ORDER BY journal_index
"""
_HELD_RECORDS: Final = """
SELECT j.journal_index, j.kind, coalesce(j.transfer_id::text, '') AS transfer_id, j.record, j.leaf_hash, j.chain_hash
FROM ledger.settlements s JOIN ledger.journal j ON j.shard = s.shard AND j.journal_index = s.legs_index
WHERE s.transfer_id = ANY($1::uuid[])
"""
# NULL for the ids asks for all.
_SETTLEMENTS: Final = """
SELECT coalesce(t.transfer_id, s.transfer_id)::text AS transfer_id, s.transfer_id IS NOT NULL AS is_there, s.shard,
       s.legs_index, s.resolver, s.expires_at, s.fee_schedule, s.amounts_minor, s.captured_minor, s.reversed_minor,
       s.fees, s.is_open, n.record AS newest, l.record AS legs
FROM (SELECT * FROM ledger.transfers WHERE ($1::uuid[] IS NULL OR transfer_id = ANY($1))
      AND (version > 1 OR status = 'held')) t
FULL JOIN (SELECT * FROM ledger.settlements WHERE $1::uuid[] IS NULL OR transfer_id = ANY($1)) s
    ON s.transfer_id = t.transfer_id
LEFT JOIN ledger.journal n ON n.shard = t.shard AND n.journal_index = t.journal_index
LEFT JOIN ledger.journal l ON l.shard = s.shard AND l.journal_index = s.legs_index
"""
_COMMANDS: Final = """
SELECT c.command_id::text, c.kind, c.subject_id::text, c.status, c.code, c.shard, c.journal_index, c.decided_at,
       j.kind AS record_kind, j.record
FROM ledger.commands c LEFT JOIN ledger.journal j ON j.shard = c.shard AND j.journal_index = c.journal_index
WHERE $1::uuid[] IS NULL OR c.command_id = ANY($1)
"""
_REVERSALS: Final = """
SELECT r.reversal_id::text, r.transfer_id::text, r.actor_id::text, r.amounts_minor, r.reason_commitment, r.shard,
       r.journal_index, r.reversed_at, j.kind AS record_kind, j.record
FROM ledger.reversals r LEFT JOIN ledger.journal j ON j.shard = r.shard AND j.journal_index = r.journal_index
WHERE $1::uuid[] IS NULL OR r.reversal_id = ANY($1)
"""
_FEE_SCHEDULES: Final = """
SELECT version, rules, sha256, published_by::text, shard, journal_index, published_at
FROM ledger.fee_schedules ORDER BY version
"""
# A state of before a repair may have been signed with the wrong balance in it: somebody had released the finding.
_STATE_NOTES: Final = """
SELECT note FROM ledger.verifications WHERE shard = $1 AND note IS NOT NULL AND size >
    (SELECT coalesce(max(journal_index), -1) FROM ledger.repairs WHERE shard = $1) ORDER BY finished_at DESC LIMIT $2
"""
_NOTES_LOOKED_AT: Final = 20
_SOME_ACCOUNTS: Final = """
SELECT account_id::text FROM ledger.accounts WHERE account_id > $1 AND last_seq <= $2 ORDER BY account_id LIMIT $3
"""
_ACCOUNT: Final = """
SELECT posted_minor, pending_in_minor, pending_out_minor, last_seq FROM ledger.accounts WHERE account_id = $1
"""
_TRANSFER: Final = """
SELECT kind, status, version, code, reasons, journal_index, changed_at FROM ledger.transfers WHERE transfer_id = $1
"""
_OPEN_HOLDS: Final = """
SELECT j.record, s.captured_minor FROM ledger.transfers t
JOIN ledger.settlements s ON s.transfer_id = t.transfer_id
JOIN ledger.journal j ON j.shard = s.shard AND j.journal_index = s.legs_index
WHERE t.status = 'held'
"""
_ENTRIES_OF: Final = """
SELECT account_id::text, amount_minor FROM ledger.entries
WHERE account_id = ANY($2::uuid[]) AND journal_index = $1
"""
_ROWS: Final = {"settlements": _SETTLEMENTS, "commands": _COMMANDS, "reversals": _REVERSALS}

Columns = tuple[list[Any], ...]


class JournalPage(NamedTuple):
    """Records by index. `leaves` and `chain` are all their hashes, one after the other."""

    indexes: list[int]
    kinds: list[str]
    transfer_ids: list[str]
    texts: list[bytes]
    leaves: bytes
    chain: bytes


class Audit:
    """One snapshot of one shard."""

    def __init__(self, lanes: Sequence[asyncpg.Connection], shard: int) -> None:
        """Read over these connections, which share a snapshot."""
        self.connection, self._journal_lane, self._entries_lane, self._transfers_lane = lanes
        self._shard = shard
        self.tiles = StoredTiles(self.connection, shard)

    async def end(self) -> int:
        """Return the index after the last record's."""
        end: int = await self.connection.fetchval(_END, self._shard)
        return end

    async def head(self) -> asyncpg.Record | None:
        """Return (size, chain_hash, last_record_at, published_size, halted)."""
        return await self.connection.fetchrow(_HEAD, self._shard)

    async def page(self, first: int, end: int) -> JournalPage:
        """Return the records of these indexes."""
        row = await self._journal_lane.fetchrow(_JOURNAL, self._shard, first, end)
        return JournalPage([], [], [], [], b"", b"") if row[0] is None else JournalPage(*row)

    async def pages(self, size: int) -> "AsyncIterator[tuple[int, int, JournalPage]]":
        """Yield (first, end, records) of the pages up to `size`; PostgreSQL makes the next one meanwhile."""
        coming = asyncio.create_task(self.page(0, min(PAGE, size)))
        try:
            for first in range(0, size, PAGE):
                end = min(first + PAGE, size)
                page = await coming
                coming = asyncio.create_task(self.page(end, min(end + PAGE, size)))
                yield first, end, page
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)

    async def records(self, indexes: Sequence[int]) -> list[asyncpg.Record]:
        """Return (journal_index, kind, transfer_id, record, leaf_hash, chain_hash) of these records."""
        rows: list[asyncpg.Record] = await self.connection.fetch(_RECORDS, self._shard, indexes)
        return rows

    async def legs_records(self, transfer_ids: Sequence[str]) -> list[asyncpg.Record]:
        """Return the records that say what the legs of these settled transfers are, as `records` does."""
        rows: list[asyncpg.Record] = await self.connection.fetch(_HELD_RECORDS, transfer_ids)
        return rows

    async def all_entries(self) -> "AsyncIterator[tuple[int, Columns]]":
        """Yield (page, columns) of all entries, by page."""
        async for row in self._entries_lane.cursor(_ALL_ENTRIES, prefetch=1):
            yield row[0], tuple(row)[1:]

    async def some_entries(self, account_ids: Sequence[str], seqs: Sequence[int]) -> Columns:
        """Return the columns of the entries at these places."""
        row = await self.connection.fetchrow(_SOME_ENTRIES, account_ids, seqs)
        return tuple(column or [] for column in row)

    async def all_transfers(self) -> "AsyncIterator[tuple[int, Columns]]":
        """Yield (page, columns) of all transfers by their newest record, by page."""
        async for row in self._transfers_lane.cursor(_ALL_TRANSFERS, prefetch=1):
            yield row[0], tuple(row)[1:]

    async def some_transfers(self, transfer_ids: Sequence[str], first: int, end: int) -> Columns:
        """Return the columns of those of the transfers whose newest record is among these."""
        row = await self.connection.fetchrow(_SOME_TRANSFERS, transfer_ids, first, end)
        return tuple(column or [] for column in row)

    async def blocks(self, after_size: int, size: int) -> list[asyncpg.Record]:
        """Return (size, previous_size, root, chain_hash, sealed_at, note) of the blocks that end after `after_size`.

        Those begun by `size`. The note is NULL for a block without a checkpoint.
        """
        rows: list[asyncpg.Record] = await self.connection.fetch(_BLOCKS, self._shard, after_size, size)
        return rows

    async def stored_tiles(self, level: int, indexes: Sequence[int]) -> dict[int, tuple[bytes, bytes]]:
        """Return tile_index → (hashes, root) of the stored tiles of a level."""
        rows = await self.connection.fetch(_TILES, self._shard, level, indexes)
        return {row[0]: (row[1], row[2]) for row in rows}

    async def counts(self, size: int) -> asyncpg.Record:
        """Return how many blocks and checkpoints there are up to `size`, and how many tiles."""
        return await self.connection.fetchrow(_COUNTS, self._shard, size)

    async def newest_sizes(self) -> asyncpg.Record:
        """Return the greatest size among blocks and among checkpoints."""
        return await self.connection.fetchrow(_BEYOND, self._shard)

    async def accounts(self) -> AsyncIterator[list[asyncpg.Record]]:
        """Yield pages of accounts, by id."""
        after = _NO_ACCOUNT
        while page := await self.connection.fetch(_ACCOUNTS, after, _ACCOUNT_PAGE):
            yield page
            after = page[-1][0]

    async def rows(self, table: str, ids: Sequence[str] | None) -> AsyncIterator[asyncpg.Record]:
        """Yield rows of settlements, commands or reversals with the records that prove them; all without ids."""
        async for row in self.connection.cursor(_ROWS[table], ids, prefetch=_ROWS_AHEAD):
            yield row

    async def fee_schedules(self) -> list[asyncpg.Record]:
        """Return every fee schedule: version, rules, sha256, published_by, shard, journal_index, published_at."""
        rows: list[asyncpg.Record] = await self.connection.fetch(_FEE_SCHEDULES)
        return rows

    async def unbalanced(self, limit: int) -> list[asyncpg.Record]:
        """Return accounts that do not hold what their last entry says."""
        rows: list[asyncpg.Record] = await self.connection.fetch(_UNBALANCED, limit)
        return rows

    async def balances(self, account_ids: Sequence[str]) -> dict[str, tuple[int, int, int, int]]:
        """Return account_id → (posted, pending in, pending out, last_seq)."""
        rows = await self.connection.fetch(_BALANCES, account_ids)
        return {row[0]: (row[1], row[2], row[3], row[4]) for row in rows}

    async def state_digest(self, earlier: dict[str, tuple[int, int, int, int]]) -> str:
        """Return the hex SHA-256 over all balances, with those of `earlier` put back to what they were."""
        digest = sha256()

        async def take(data: bytes) -> None:
            digest.update(data)

        columns = list(zip(*earlier.values(), strict=True)) or [()] * 4
        await self.connection.copy_from_query(_STATE, list(earlier), *map(list, columns), output=take, format="text")
        return digest.hexdigest()

    async def state_notes(self) -> list[str]:
        """Return the newest signed states, newest first."""
        return [row[0] for row in await self.connection.fetch(_STATE_NOTES, self._shard, _NOTES_LOOKED_AT)]

    async def some_accounts(self, after: str, *, entries_max: int, limit: int) -> list[str]:
        """Return the next accounts by id that have not too many entries."""
        return [row[0] for row in await self.connection.fetch(_SOME_ACCOUNTS, after, entries_max, limit)]

    async def account(self, account_id: str) -> asyncpg.Record | None:
        """Return (posted_minor, pending_in_minor, pending_out_minor, last_seq) of an account."""
        return await self.connection.fetchrow(_ACCOUNT, account_id)

    async def transfer(self, transfer_id: str) -> asyncpg.Record | None:
        """Return (kind, status, version, code, reasons, journal_index, changed_at) of a transfer."""
        return await self.connection.fetchrow(_TRANSFER, transfer_id)

    async def open_holds(self) -> list[asyncpg.Record]:
        """Return (first record, captured_minor) of every transfer that is held."""
        rows: list[asyncpg.Record] = await self.connection.fetch(_OPEN_HOLDS)
        return rows

    async def entries_of(self, index: int, account_ids: Sequence[str]) -> list[asyncpg.Record]:
        """Return (account_id, amount_minor) of what a record entered on these accounts."""
        rows: list[asyncpg.Record] = await self.connection.fetch(_ENTRIES_OF, index, account_ids)
        return rows

    async def newest_checkpoint(self) -> StoredCheckpoint | None:
        """Return the newest checkpoint."""
        return await load_newest_checkpoint(self.connection, self._shard)

    async def account_entries(self, account_id: str, after_seq: int, limit: int) -> list[asyncpg.Record]:
        """Return the account's next entries: (seq, journal_index, transfer_id, amount, balance after, posted_at)."""
        rows: list[asyncpg.Record] = await self.connection.fetch(_ACCOUNT_ENTRIES, account_id, after_seq, limit)
        return rows


@asynccontextmanager
async def open_audit(dsn: str, shard: int) -> AsyncIterator[Audit]:
    """Open one read-only snapshot; the writer goes on beside it. Raises: OSError, asyncpg.PostgresError."""
    async with AsyncExitStack() as stack:
        lanes = []
        snapshot = None
        for _ in range(_LANES):
            connection = await asyncpg.connect(dsn, timeout=_CONNECT_SECONDS, server_settings=_SETTINGS)
            stack.push_async_callback(_close, connection)
            await stack.enter_async_context(connection.transaction(isolation="repeatable_read", readonly=True))
            if snapshot is None:
                snapshot = await connection.fetchval("SELECT pg_export_snapshot()")
            else:
                await connection.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
            lanes.append(connection)
        yield Audit(lanes, shard)


async def _close(connection: asyncpg.Connection) -> None:
    try:
        await connection.close(timeout=_CONNECT_SECONDS)
    except (TimeoutError, OSError, asyncpg.PostgresError):
        connection.terminate()


async def ahead(pages: "AsyncIterator[tuple[int, Columns]]") -> "asyncio.Task[tuple[int, Columns] | None]":
    """Ask for the next page now and let PostgreSQL make it while something else is done."""
    task = asyncio.create_task(_next(pages))
    await asyncio.sleep(0)
    return task


async def _next(pages: "AsyncIterator[tuple[int, Columns]]") -> "tuple[int, Columns] | None":
    return await anext(pages, None)
