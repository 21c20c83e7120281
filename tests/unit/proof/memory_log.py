"""A log kept as the ledger keeps it: its leaves and its full tiles, nothing else."""

from hashlib import sha256

from libs.common.proof.merkle import leaf_hash, node_hash, root_of
from libs.common.proof.tiles import TILE_WIDTH, split_tile
from libs.common.proof.tree_head import TreeHead


def leaves(count: int) -> list[bytes]:
    return [leaf_hash(b"record %d" % index) for index in range(count)]


def reference_root(hashes: list[bytes]) -> bytes:
    """Return MTH of RFC 6962, 2.1, written as the RFC writes it."""
    if not hashes:
        return sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    cut = 1 << (len(hashes) - 1).bit_length() - 1
    return node_hash(reference_root(hashes[:cut]), reference_root(hashes[cut:]))


def reference_path(index: int, hashes: list[bytes]) -> list[bytes]:
    """Return PATH of RFC 6962, 2.1.1."""
    if len(hashes) == 1:
        return []
    cut = 1 << (len(hashes) - 1).bit_length() - 1
    if index < cut:
        return [*reference_path(index, hashes[:cut]), reference_root(hashes[cut:])]
    return [*reference_path(index - cut, hashes[cut:]), reference_root(hashes[:cut])]


class MemoryLog:
    """Implements TileReader."""

    def __init__(self, hashes: list[bytes]) -> None:
        self.leaves = hashes
        self.head, full_tiles = TreeHead.empty().extended(hashes)
        self.full_tiles = {(tile.level, tile.tile_index): tile.hashes for tile in full_tiles}
        self.reads: list[tuple[int, int, int]] = []

    async def read_tile(self, level: int, tile_index: int, width: int) -> list[bytes]:
        self.reads.append((level, tile_index, width))
        return self._tile(level, tile_index)[:width]

    def _tile(self, level: int, tile_index: int) -> list[bytes]:
        stored = self.full_tiles.get((level, tile_index))
        if stored is not None:
            return split_tile(stored)
        start = tile_index * TILE_WIDTH
        if level == 0:
            return self.leaves[start : start + TILE_WIDTH]
        below = [self.full_tiles.get((level - 1, start + offset)) for offset in range(TILE_WIDTH)]
        return [root_of(split_tile(tile)) for tile in below if tile is not None]
