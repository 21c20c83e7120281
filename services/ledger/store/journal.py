"""The journal of one batch: its records, and the seal over them that moves the head. A small one's money goes along."""

from typing import Final

import asyncpg

from services.ledger.domain.transfer import Transfer
from services.ledger.store.batch import Batch, Columns, HeadMoved, Sealed
from services.ledger.store.money import MONEY, NO_MONEY

# Here, too, nothing is written without the head. `moved` updates the row that `head` has locked: a lock is no change,
# and so that is the only one a statement may make to a row. A small batch has no transaction to roll back when an
# account is not what it was decided on, so its statement fails by itself: the block's previous size is NULL then, and
# only then, and its column forbids that.
_SEAL: Final = f"""{MONEY}, moved AS (
    UPDATE ledger.heads h SET size = $26, chain_hash = $28, last_record_at = $3,
        published_size = greatest(h.published_size, $30)
    FROM head WHERE h.shard = head.shard
), tiles AS (
    INSERT INTO ledger.tree_tiles (shard, level, tile_index, root, hashes)
    SELECT head.shard, v.* FROM head, unnest($31::integer[], $32::bigint[], $33::bytea[], $34::bytea[]) AS v
), checkpoint AS (
    INSERT INTO ledger.checkpoints (shard, size, note) SELECT shard, $26, $29 FROM head
), records AS (
    INSERT INTO ledger.journal (shard, journal_index, kind, transfer_id, record, leaf_hash, chain_hash)
    SELECT head.shard, v.*
    FROM head, unnest($35::bigint[], $36::text[], $37::uuid[], $38::bytea[], $39::bytea[], $40::bytea[]) AS v
)
INSERT INTO ledger.blocks (shard, size, previous_size, root, chain_hash, sealed_at)
SELECT shard, $26, CASE WHEN (SELECT count(*) FROM changed) = cardinality($4) THEN $2 END, $27, $28, $3 FROM head
"""  # noqa: S608 -- made of statements written here
_ACCOUNT_MOVED: Final = ("blocks", "previous_size")
_NO_RECORDS: Final[Columns] = ([],) * 6


async def write_journal(
    connection: asyncpg.Connection, batch: Batch, sealed: Sealed, money: Columns = NO_MONEY
) -> None:
    """Seal the batch's records and move the head; with them, unless they are copied, and `money` of a small batch.

    Raises: HeadMoved when head or account is not what the batch was decided on; the statement has written nothing then.
    """
    try:
        tag = await connection.execute(
            _SEAL,
            batch.shard,
            batch.before.size,
            batch.recorded_at,
            *money,
            sealed.after.size,
            sealed.after.tree.root,
            sealed.after.chain_hash,
            sealed.note,
            batch.published_size,
            [tile.level for tile in sealed.full_tiles],
            [tile.tile_index for tile in sealed.full_tiles],
            [tile.root for tile in sealed.full_tiles],
            [tile.hashes for tile in sealed.full_tiles],
            *(_NO_RECORDS if batch.is_copied else _record_columns(batch, sealed)),
        )
    except asyncpg.NotNullViolationError as failure:
        if (failure.table_name, failure.column_name) != _ACCOUNT_MOVED:
            raise
        raise HeadMoved from failure
    if tag != "INSERT 0 1":
        raise HeadMoved


def _record_columns(batch: Batch, sealed: Sealed) -> Columns:
    changes = batch.decisions.changes
    return (
        range(batch.before.size, sealed.after.size),
        [change.kind for change in changes],
        [change.state.transfer_id if isinstance(change.state, Transfer) else None for change in changes],
        sealed.records,
        sealed.leaves,
        sealed.chain,
    )
