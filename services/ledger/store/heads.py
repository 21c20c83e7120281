"""A shard's head: where its journal ends, and up to where the bus has been told."""

from dataclasses import dataclass

import asyncpg

from libs.common.clock import to_rfc3339
from libs.common.errors import InvariantBroken, Unavailable
from libs.common.proof.tree_head import TreeHead, load_tree_head
from services.ledger.store.tiles import StoredTiles

_LOAD = "SELECT size, chain_hash, last_record_at, halted FROM ledger.heads WHERE shard = $1"
_MARK = "SELECT published_size, size FROM ledger.heads WHERE shard = $1"
# A mark says that everything before it was published, whoever says it: so it only ever grows.
_ADVANCE = "UPDATE ledger.heads SET published_size = $2 WHERE shard = $1 AND published_size < $2"


@dataclass(frozen=True, slots=True)
class JournalHead:
    """The journal's end as the writer keeps it between two batches. `last_time` is the newest record's."""

    size: int
    chain_hash: bytes
    last_time: str
    tree: TreeHead


async def load_head(connection: asyncpg.Connection, shard: int) -> JournalHead:
    """Return the head as stored. Raises: Unavailable while it is halted; InvariantBroken when there is none."""
    row = await connection.fetchrow(_LOAD, shard)
    if row is None:
        raise InvariantBroken("every shard has a head; run `tallystick migrate`", shard=shard)
    if row["halted"]:
        raise Unavailable("ledger_halted", "The ledger is halted; an operator has to start it again.", shard=shard)
    tree = await load_tree_head(row["size"], StoredTiles(connection, shard))
    return JournalHead(row["size"], row["chain_hash"], to_rfc3339(row["last_record_at"]), tree)


async def load_mark(connection: asyncpg.Connection, shard: int) -> tuple[int, int]:
    """Return (published size, size)."""
    row = await connection.fetchrow(_MARK, shard)
    if row is None:
        raise InvariantBroken("every shard has a head; run `tallystick migrate`", shard=shard)
    return row[0], row[1]


async def advance_mark(connection: asyncpg.Connection, shard: int, published_size: int) -> None:
    """Say that everything before `published_size` was acknowledged by the broker."""
    await connection.execute(_ADVANCE, shard, published_size)
