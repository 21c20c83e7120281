"""What anybody may ask, to watch that nothing is rewritten or cut off."""

from typing import NamedTuple

from libs.common.db.reading import Reading
from libs.common.proof.proof_building import build_consistency_proof, build_inclusion_proof
from libs.common.proof.tiles import TILE_WIDTH
from services.ledger.store.checkpoints import StoredCheckpoint, load_newest_checkpoint
from services.ledger.store.tiles import StoredTiles


class Inclusion(NamedTuple):
    """A leaf hash, and the hashes that lead from it to a root."""

    leaf: bytes
    proof: list[bytes]


class TransparencyView:
    """Reads one shard's checkpoints and tree."""

    def __init__(self, reading: Reading, shard: int) -> None:
        """Take what it reads with."""
        self._reading = reading
        self._shard = shard

    async def newest(self) -> StoredCheckpoint | None:
        """Return the newest signed checkpoint; None while the journal is empty. Raises: Unavailable."""
        async with self._reading.connection() as connection:
            return await load_newest_checkpoint(connection, self._shard)

    async def consistency(self, first: int, second: int) -> list[bytes]:
        """Return the proof that the tree of `first` leaves is a prefix of that of `second`. Raises: Unavailable."""
        async with self._reading.connection() as connection:
            return await build_consistency_proof(first, second, StoredTiles(connection, self._shard))

    async def inclusion(self, index: int, size: int) -> Inclusion:
        """Return the proof that this leaf is in the tree of `size` leaves. Raises: Unavailable."""
        async with self._reading.connection() as connection:
            tiles = StoredTiles(connection, self._shard)
            tile_index, offset = divmod(index, TILE_WIDTH)
            *_, leaf = await tiles.read_tile(0, tile_index, offset + 1)
            return Inclusion(leaf, await build_inclusion_proof(index, size, tiles))
