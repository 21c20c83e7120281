"""How a tree is cut into tiles: 256 hashes wide, each the root of a full subtree (C2SP tlog-tiles).

Tile (level, index) holds the roots of the subtrees of 256**level leaves from 256*index on; at level 0 these are the
leaf hashes. A full tile never changes. Those at the right edge are partial and can be derived, so nobody stores them.
"""

from typing import Final, NamedTuple, Protocol

from libs.common.proof.merkle import HASH_BYTES

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 2**TILE_HEIGHT
TILE_BYTES: Final = TILE_WIDTH * HASH_BYTES


class FullTile(NamedTuple):
    """A tile that has just become full: 8,192 bytes to be stored in the commit that brings its last hash.

    `root` is the tile's hash in the level above. Stored beside the tile it spares the reader of a partial tile
    up to 255 whole tiles below it.
    """

    level: int
    tile_index: int
    hashes: bytes
    root: bytes


class TileReader(Protocol):
    """Where the hashes of a tree come from; the ledger's store is one."""

    async def read_tile(self, level: int, tile_index: int, width: int) -> list[bytes]:
        """Return the first `width` hashes of a tile, in order; 256 is the whole tile.

        A width below 256 does not mean that the tile is partial: a proof asks only for the part that it needs, and
        proofs for an older size ask for tiles that have filled up since. Level 0 can be answered from the leaves;
        level n from the stored tile or, while it is partial, from the roots of the full tiles of level n-1.
        """
        ...


def split_tile(tile: bytes) -> list[bytes]:
    """Return the hashes of a stored tile."""
    return [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]
