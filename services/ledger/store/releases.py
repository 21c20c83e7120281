"""The one record that is written while a shard is halted: that somebody lets it go on."""

from collections.abc import Callable
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg

from libs.common.clock import to_rfc3339
from libs.common.db.hot import HotConnection
from libs.common.errors import Conflict, NotFound
from libs.common.messaging.outbox import Outbox, OutboxRow
from libs.common.messaging.outgoing_message import Outgoing
from libs.common.proof.tiles import FullTile
from libs.common.proof.tree_head import load_tree_head
from services.ledger.store.heads import JournalHead
from services.ledger.store.tiles import StoredTiles
from services.ledger.store.verifications import OpenFinding, load_open_finding

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


class Release(NamedTuple):
    """A release as it is decided: its record, who and why, and what is said about it."""

    record: NewRecord
    actor_id: str
    reason: str
    salt: str
    recorded_at: datetime
    say: Callable[[int], Outgoing]
    """Is told how many findings still halt the shard."""


async def write_release(
    hot: HotConnection,
    outbox: Outbox,
    shard: int,
    finding_id: str,
    decide: Callable[[OpenFinding, JournalHead], Release],
) -> tuple[int, OutboxRow]:
    """Write what `decide` makes of the finding and the halted head. Returns how many findings still halt the shard.

    Locks: the head. Commits: record, block, tiles, checkpoint, head, release and the outbox row, which is returned to
    be published. Raises: NotFound (finding_not_found); Conflict (ledger_not_halted); Unavailable.
    """
    async with hot.transaction() as connection:
        finding = await load_open_finding(connection, shard, finding_id)
        if finding is None:
            raise NotFound("finding_not_found", "There is no such finding, or it was released before.")
        release = decide(finding, await _lock_halted_head(connection, shard))
        index = release.record.after.size - 1
        await connection.execute(
            _RELEASE,
            finding_id,
            release.actor_id,
            release.reason,
            release.salt,
            shard,
            index,
            release.recorded_at,
        )
        others: int = await connection.fetchval(_OTHERS, shard)
        await _append(connection, shard, release.record, release.recorded_at, halted=others > 0)
        row = outbox.row([release.say(others)])
        await outbox.insert(connection, row)
    return others, row


async def _lock_halted_head(connection: asyncpg.Connection, shard: int) -> JournalHead:
    row = await connection.fetchrow(_HEAD, shard)
    if row is None:
        raise Conflict("ledger_not_halted", "The shard is not halted.")
    tree = await load_tree_head(row["size"], StoredTiles(connection, shard))
    return JournalHead(row["size"], row["chain_hash"], to_rfc3339(row["last_record_at"]), tree)


async def _append(
    connection: asyncpg.Connection, shard: int, record: NewRecord, recorded_at: datetime, *, halted: bool
) -> None:
    after = record.after
    index, chain_hash = after.size - 1, after.chain_hash
    await connection.execute(_JOURNAL, shard, index, record.kind, record.text, record.leaf, chain_hash)
    for tile in record.full_tiles:
        await connection.execute(_TILE, shard, tile.level, tile.tile_index, tile.root, tile.hashes)
    await connection.execute(_BLOCK, shard, after.size, index, after.tree.root, chain_hash, recorded_at)
    await connection.execute(_CHECKPOINT, shard, after.size, record.note)
    await connection.execute(_MOVE, shard, after.size, chain_hash, recorded_at, halted)
