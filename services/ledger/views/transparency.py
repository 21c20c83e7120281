"""What anybody may ask, to watch that nothing is rewritten or cut off."""

from libs.common.db.reading import Reading
from libs.common.proof.proof_building import build_consistency_proof
from services.ledger.store.checkpoints import load_newest_checkpoint
from services.ledger.store.tiles import StoredTiles


class TransparencyView:
    """Reads one shard's checkpoints and tree."""

    def __init__(self, reading: Reading, shard: int) -> None:
        """Take what it reads with."""
        self._reading = reading
        self._shard = shard

    async def newest_note(self) -> str | None:
        """Return the newest signed checkpoint; None while the journal is empty. Raises: Unavailable."""
        async with self._reading.connection() as connection:
            newest = await load_newest_checkpoint(connection, self._shard)
        return None if newest is None else newest.note

    async def newest_size(self) -> int:
        """Return the size of the newest checkpoint's tree, 0 while the journal is empty. Raises: Unavailable."""
        async with self._reading.connection() as connection:
            newest = await load_newest_checkpoint(connection, self._shard)
        return 0 if newest is None else newest.size

    async def consistency(self, first: int, second: int) -> list[bytes]:
        """Return the proof that the tree of `first` leaves is a prefix of that of `second`. Raises: Unavailable."""
        async with self._reading.connection() as connection:
            return await build_consistency_proof(first, second, StoredTiles(connection, self._shard))
