"""One batch of the ledger in one transaction, with a constant number of statements whatever its size."""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg
import msgspec

from libs.common.crash_points import reached
from libs.common.db.hot import HotConnection
from libs.common.proof.tiles import FullTile
from services.ledger.domain.engine import Decisions
from services.ledger.domain.transfer import Transfer
from services.ledger.store.heads import JournalHead
from services.ledger.store.journal_record import KIND_PREFIX

# The head is locked first: of two writers one waits here, and then finds that it moved.
_LOCK = "SELECT true FROM ledger.heads WHERE shard = $1 AND size = $2 AND NOT halted FOR UPDATE"
_ACCOUNTS = """
UPDATE ledger.accounts a
SET posted_minor = v.posted_minor, pending_in_minor = v.pending_in_minor, pending_out_minor = v.pending_out_minor,
    last_seq = v.last_seq, version = v.version
FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
    AS v (account_id, expected, version, posted_minor, pending_in_minor, pending_out_minor, last_seq)
WHERE a.account_id = v.account_id AND a.version = v.expected
"""
_TRANSFERS = """
INSERT INTO ledger.transfers
    (transfer_id, kind, status, version, code, reasons, facts, journal_index, shard, changed_at)
SELECT v.transfer_id, v.kind, v.status, v.version, v.code, string_to_array(v.reasons, ','), v.facts::jsonb,
       v.journal_index, $9, $10
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::integer[], $5::text[], $6::text[], $7::text[], $8::bigint[])
    AS v (transfer_id, kind, status, version, code, reasons, facts, journal_index)
"""
_HELD_TRANSFERS = """
UPDATE ledger.transfers t
SET status = v.status, version = v.version, code = v.code, reasons = string_to_array(v.reasons, ','),
    facts = v.facts::jsonb, journal_index = v.journal_index, changed_at = $10
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::integer[], $5::text[], $6::text[], $7::text[], $8::bigint[])
    AS v (transfer_id, kind, status, version, code, reasons, facts, journal_index)
WHERE t.transfer_id = v.transfer_id AND t.shard = $9 AND t.status = 'held' AND t.version < v.version
"""
# COPY costs half of what INSERT does: pages are filled and logged whole.
_ENTRIES: Final = ("account_id", "seq", "transfer_id", "amount_minor", "balance_after_minor", "posted_at")
_JOURNAL: Final = ("shard", "journal_index", "kind", "transfer_id", "record", "leaf_hash", "chain_hash")
_SEAL = """
WITH head AS (
    UPDATE ledger.heads SET size = $2, chain_hash = $5, last_record_at = $6,
        published_size = greatest(published_size, $12)
    WHERE shard = $1
), tiles AS (
    INSERT INTO ledger.tree_tiles (shard, level, tile_index, root, hashes)
    SELECT $1, v.* FROM unnest($8::integer[], $9::bigint[], $10::bytea[], $11::bytea[]) AS v
), checkpoint AS (
    INSERT INTO ledger.checkpoints (shard, size, note) VALUES ($1, $2, $7)
)
INSERT INTO ledger.blocks (shard, size, previous_size, root, chain_hash, sealed_at) VALUES ($1, $2, $3, $4, $5, $6)
"""
_encode_facts = msgspec.json.Encoder().encode


class HeadMoved(Exception):
    """Somebody else wrote since this batch was decided, or the shard is halted: nothing of it was written."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one commit writes, and the state it was decided on."""

    shard: int
    before: JournalHead
    decisions: Decisions
    recorded_at: datetime
    published_size: int


class Sealed(NamedTuple):
    """What a batch adds to the journal: one record, leaf and chain hash a change."""

    records: list[bytes]
    leaves: list[bytes]
    chain: list[bytes]
    full_tiles: list[FullTile]
    after: JournalHead
    note: str


async def write_batch(hot: HotConnection, batch: Batch, seal: Callable[[], Sealed]) -> Sealed:
    """Write the batch, all or nothing. `seal` is called once, while PostgreSQL is busy with the money.

    Commits: head, accounts, entries, transfers, journal, tiles, block, checkpoint, published mark.
    Raises: HeadMoved; Unavailable, after which it is not known whether it was written.
    """
    async with hot.transaction() as connection:
        if not await connection.fetchval(_LOCK, batch.shard, batch.before.size):
            raise HeadMoved
        money = asyncio.create_task(_write_money(connection, batch), name="ledger-money")
        try:
            # The statement leaves at the end of the loop's round in which the task starts; hashing before that would
            # keep PostgreSQL waiting instead of working beside us.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            sealed = seal()
        finally:
            await money
        await _write_journal(connection, batch, sealed)
        reached("ledger.before_commit")
    return sealed


async def _write_money(connection: asyncpg.Connection, batch: Batch) -> None:
    await _write_accounts(connection, batch)
    await _write_transfers(connection, batch)


async def _write_accounts(connection: asyncpg.Connection, batch: Batch) -> None:
    books = batch.decisions.books
    if not books.changed:
        return
    accounts, read = books.changed.values(), books.read
    tag = await connection.execute(
        _ACCOUNTS,
        list(books.changed),
        [read[account_id].version for account_id in books.changed],
        [account.version for account in accounts],
        [account.posted_minor for account in accounts],
        [account.pending_in_minor for account in accounts],
        [account.pending_out_minor for account in accounts],
        [account.last_seq for account in accounts],
    )
    if tag != f"UPDATE {len(books.changed)}":
        raise HeadMoved
    entries = books.entries
    if entries:
        posted_at = itertools.repeat(batch.recorded_at)
        await connection.copy_records_to_table(
            "entries",
            schema_name="ledger",
            columns=_ENTRIES,
            records=zip(
                entries.account_ids,
                entries.seqs,
                entries.transfer_ids,
                entries.amounts_minor,
                entries.balances_minor,
                posted_at,
                strict=False,
            ),
        )


async def _write_transfers(connection: asyncpg.Connection, batch: Batch) -> None:
    decisions = batch.decisions
    if decisions.inserted:
        await connection.execute(
            _TRANSFERS, *_columns(list(decisions.inserted.values())), batch.shard, batch.recorded_at
        )
    if decisions.updated:
        tag = await connection.execute(
            _HELD_TRANSFERS, *_columns(list(decisions.updated.values())), batch.shard, batch.recorded_at
        )
        if tag != f"UPDATE {len(decisions.updated)}":
            raise HeadMoved


def _columns(transfers: list[Transfer]) -> tuple[list[object], ...]:
    return (
        [transfer.transfer_id for transfer in transfers],
        [transfer.kind for transfer in transfers],
        [transfer.status for transfer in transfers],
        [transfer.version for transfer in transfers],
        [transfer.code for transfer in transfers],
        [",".join(transfer.reasons) for transfer in transfers],
        [_encode_facts(transfer.facts).decode() if transfer.facts else None for transfer in transfers],
        [transfer.journal_index for transfer in transfers],
    )


async def _write_journal(connection: asyncpg.Connection, batch: Batch, sealed: Sealed) -> None:
    before, after = batch.before, sealed.after
    states = [state for state, _ in batch.decisions.changes]
    await connection.copy_records_to_table(
        "journal",
        schema_name="ledger",
        columns=_JOURNAL,
        records=zip(
            itertools.repeat(batch.shard),
            range(before.size, after.size),
            [KIND_PREFIX + state.status for state in states],
            [state.transfer_id for state in states],
            sealed.records,
            sealed.leaves,
            sealed.chain,
            strict=False,
        ),
    )
    await connection.execute(
        _SEAL,
        batch.shard,
        after.size,
        before.size,
        after.tree.root,
        after.chain_hash,
        batch.recorded_at,
        sealed.note,
        [tile.level for tile in sealed.full_tiles],
        [tile.tile_index for tile in sealed.full_tiles],
        [tile.root for tile in sealed.full_tiles],
        [tile.hashes for tile in sealed.full_tiles],
        batch.published_size,
    )
