"""The tree's hashes, as proofs and the writer's start read them."""

from typing import Final

import asyncpg

from libs.common.proof.merkle import HASH_BYTES
from libs.common.proof.tiles import TILE_WIDTH, split_tile

_STORED = "SELECT substr(hashes, 1, $4) FROM ledger.tree_tiles WHERE shard = $1 AND level = $2 AND tile_index = $3"
_LEAVES = """
SELECT leaf_hash FROM ledger.journal WHERE shard = $1 AND journal_index >= $2 ORDER BY journal_index LIMIT $3
"""
_ROOTS = """
SELECT root FROM ledger.tree_tiles WHERE shard = $1 AND level = $2 AND tile_index >= $3 ORDER BY tile_index LIMIT $4
"""
_LEAF_LEVEL: Final = 0


class StoredTiles:
    """The tiles of one shard. A partial tile is read from what it is made of: leaves, or roots one level below."""

    def __init__(self, connection: asyncpg.Connection, shard: int) -> None:
        """Read over this connection."""
        self._connection = connection
        self._shard = shard

    async def read_tile(self, level: int, tile_index: int, width: int) -> list[bytes]:
        """Return the first `width` hashes of a tile, in order; fewer when the tree is smaller than asked."""
        stored = await self._connection.fetchval(_STORED, self._shard, level, tile_index, width * HASH_BYTES)
        if stored is not None:
            return split_tile(stored)
        first = tile_index * TILE_WIDTH
        if level == _LEAF_LEVEL:
            rows = await self._connection.fetch(_LEAVES, self._shard, first, width)
        else:
            rows = await self._connection.fetch(_ROOTS, self._shard, level - 1, first, width)
        return [row[0] for row in rows]
