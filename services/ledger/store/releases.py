"""The one record that is written while a shard is halted: that somebody lets it go on."""

from datetime import datetime
from typing import Final, NamedTuple

import asyncpg

from libs.common.proof.tiles import FullTile
from services.ledger.store.heads import JournalHead

# What `load_head` refuses is wanted here: the head of a shard that is halted.
_HEAD: Final = """
SELECT size, chain_hash, last_record_at FROM ledger.heads WHERE shard = $1 AND halted FOR UPDATE
"""
_MOVE: Final = """
UPDATE ledger.heads SET size = $2, chain_hash = $3, last_record_at = $4, halted = $5 WHERE shard = $1
"""
_JOURNAL: Final = """
INSERT INTO ledger.journal (shard, journal_index, kind, transfer_id, record, leaf_hash, chain_hash)
VALUES ($1, $2, $3, NULL, $4, $5, $6)
"""
_TILE: Final = "INSERT INTO ledger.tree_tiles (shard, level, tile_index, root, hashes) VALUES ($1, $2, $3, $4, $5)"
_BLOCK: Final = """
INSERT INTO ledger.blocks (shard, size, previous_size, root, chain_hash, sealed_at) VALUES ($1, $2, $3, $4, $5, $6)
"""
_CHECKPOINT: Final = "INSERT INTO ledger.checkpoints (shard, size, note) VALUES ($1, $2, $3)"
_RELEASE: Final = """
INSERT INTO ledger.releases (finding_id, actor_id, reason, salt, shard, journal_index, released_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_OTHERS: Final = """
SELECT count(*) FROM ledger.findings f LEFT JOIN ledger.releases r ON r.finding_id = f.finding_id
WHERE f.shard = $1 AND r.finding_id IS NULL
"""


class NewRecord(NamedTuple):
    """A record with its hashes, and the head it makes."""

    kind: str
    text: bytes
    leaf: bytes
    full_tiles: list[FullTile]
    after: JournalHead
    note: str


async def lock_halted_head(connection: asyncpg.Connection, shard: int) -> asyncpg.Record | None:
    """Lock a halted shard's head and return (size, chain_hash, last_record_at); None while it runs."""
    return await connection.fetchrow(_HEAD, shard)


async def write_release(connection: asyncpg.Connection, row: tuple[object, ...]) -> int:
    """Write a release: finding, actor, reason, salt, shard, index, time. Returns how many findings are still open."""
    await connection.execute(_RELEASE, *row)
    others: int = await connection.fetchval(_OTHERS, row[4])
    return others


async def append_record(
    connection: asyncpg.Connection, shard: int, record: NewRecord, recorded_at: datetime, *, halted: bool
) -> None:
    """Append one record to the journal whose head the caller has locked, and leave the shard halted or not."""
    after = record.after
    index, chain_hash = after.size - 1, after.chain_hash
    await connection.execute(_JOURNAL, shard, index, record.kind, record.text, record.leaf, chain_hash)
    for tile in record.full_tiles:
        await connection.execute(_TILE, shard, tile.level, tile.tile_index, tile.root, tile.hashes)
    await connection.execute(_BLOCK, shard, after.size, index, after.tree.root, chain_hash, recorded_at)
    await connection.execute(_CHECKPOINT, shard, after.size, record.note)
    await connection.execute(_MOVE, shard, after.size, chain_hash, recorded_at, halted)
