"""The journal of one batch: its records, and the seal over them that moves the head."""

import itertools
from collections.abc import Sequence
from typing import Final

import asyncpg

from services.ledger.store.batch import COPIED_FROM, Batch, Sealed
from services.ledger.store.journal_record import KIND_PREFIX

_SEAL: Final = """
WITH head AS (
    UPDATE ledger.heads SET size = $2, chain_hash = $5, last_record_at = $6,
        published_size = greatest(published_size, $8)
    WHERE shard = $1
), tiles AS (
    INSERT INTO ledger.tree_tiles (shard, level, tile_index, root, hashes)
    SELECT $1, v.* FROM unnest($9::integer[], $10::bigint[], $11::bytea[], $12::bytea[]) AS v
), checkpoint AS (
    INSERT INTO ledger.checkpoints (shard, size, note) VALUES ($1, $2, $7)
), records AS (
    INSERT INTO ledger.journal (shard, journal_index, kind, transfer_id, record, leaf_hash, chain_hash)
    SELECT $1, v.* FROM unnest($13::bigint[], $14::text[], $15::uuid[], $16::bytea[], $17::bytea[], $18::bytea[]) AS v
)
INSERT INTO ledger.blocks (shard, size, previous_size, root, chain_hash, sealed_at) VALUES ($1, $2, $3, $4, $5, $6)
"""
_JOURNAL: Final = ("shard", "journal_index", "kind", "transfer_id", "record", "leaf_hash", "chain_hash")
_NO_RECORDS: Final[tuple[Sequence[object], ...]] = ([], [], [], [], [], [])


async def write_journal(connection: asyncpg.Connection, batch: Batch, sealed: Sealed) -> None:
    """Append the batch's records and seal them; `write_money` has locked the head."""
    records = _record_columns(batch, sealed)
    copied = len(sealed.records) >= COPIED_FROM
    if copied:
        await connection.copy_records_to_table(
            "journal",
            schema_name="ledger",
            columns=_JOURNAL,
            records=zip(itertools.repeat(batch.shard), *records, strict=False),
        )
    await connection.execute(
        _SEAL,
        batch.shard,
        sealed.after.size,
        batch.before.size,
        sealed.after.tree.root,
        sealed.after.chain_hash,
        batch.recorded_at,
        sealed.note,
        batch.published_size,
        [tile.level for tile in sealed.full_tiles],
        [tile.tile_index for tile in sealed.full_tiles],
        [tile.root for tile in sealed.full_tiles],
        [tile.hashes for tile in sealed.full_tiles],
        *(_NO_RECORDS if copied else records),
    )


def _record_columns(batch: Batch, sealed: Sealed) -> tuple[Sequence[object], ...]:
    states = [state for state, _ in batch.decisions.changes]
    return (
        range(batch.before.size, sealed.after.size),
        [KIND_PREFIX + state.status for state in states],
        [state.transfer_id for state in states],
        sealed.records,
        sealed.leaves,
        sealed.chain,
    )
