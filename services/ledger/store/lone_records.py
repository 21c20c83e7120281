"""Records that are a block of their own and that a halted shard takes: somebody lets it go on, or mends a balance.

Whoever appends one holds the head's lock from before he decides, so it is the same compare-and-set as the writer's: the
writer, which remembers another size, writes nothing, forgets all accounts and decides again.
"""

from datetime import datetime
from typing import Final, NamedTuple

import asyncpg

from libs.common.clock import to_rfc3339
from libs.common.errors import InvariantBroken
from libs.common.proof.tiles import FullTile
from libs.common.proof.tree_head import load_tree_head
from services.ledger.store.heads import JournalHead
from services.ledger.store.tiles import StoredTiles

# What `load_head` refuses is wanted here: the head of a shard that is halted.
_HEAD: Final = """
SELECT size, chain_hash, last_record_at, halted FROM ledger.heads WHERE shard = $1 FOR UPDATE
"""
# The bus is told nothing of such a record, so it is published as soon as all before it is.
_MOVE: Final = """
UPDATE ledger.heads SET size = $2, chain_hash = $3, last_record_at = $4, halted = $5,
    published_size = CASE published_size WHEN size THEN $2 ELSE published_size END
WHERE shard = $1
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


class LoneRecord(NamedTuple):
    """A record with its hashes, and the head it makes."""

    kind: str
    text: bytes
    leaf: bytes
    full_tiles: list[FullTile]
    after: JournalHead
    note: str


async def lock_head(connection: asyncpg.Connection, shard: int) -> tuple[JournalHead, bool]:
    """Return the head, locked until the transaction ends, and whether it is halted. Raises: InvariantBroken."""
    row = await connection.fetchrow(_HEAD, shard)
    if row is None:
        raise InvariantBroken("every shard has a head; run `tallystick migrate`", shard=shard)
    tree = await load_tree_head(row["size"], StoredTiles(connection, shard))
    return JournalHead(row["size"], row["chain_hash"], to_rfc3339(row["last_record_at"]), tree), row["halted"]


async def append_record(
    connection: asyncpg.Connection, shard: int, record: LoneRecord, recorded_at: datetime, *, halted: bool
) -> None:
    """Write the record, its block and checkpoint behind the locked head, and whether the shard is halted from here."""
    after = record.after
    index, chain_hash = after.size - 1, after.chain_hash
    await connection.execute(_JOURNAL, shard, index, record.kind, record.text, record.leaf, chain_hash)
    for tile in record.full_tiles:
        await connection.execute(_TILE, shard, tile.level, tile.tile_index, tile.root, tile.hashes)
    await connection.execute(_BLOCK, shard, after.size, index, after.tree.root, chain_hash, recorded_at)
    await connection.execute(_CHECKPOINT, shard, after.size, record.note)
    await connection.execute(_MOVE, shard, after.size, chain_hash, recorded_at, halted)
