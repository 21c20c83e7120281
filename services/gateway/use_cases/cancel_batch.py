"""Somebody wants no more of a file of his carried out."""

from libs.common.clock import Clock
from libs.common.db.hot import HotConnection
from services.gateway.store.batches import cancel_batch


class CancelBatch:
    """Ends batches. What was taken of one stays, the other lines are dropped; nothing more is taken by any process."""

    def __init__(self, connection: HotConnection, clock: Clock) -> None:
        """Use this connection."""
        self._connection = connection
        self._clock = clock

    async def __call__(self, batch_id: str, principal_id: str) -> None:
        """Cancel the batch if it is his and has not ended.

        Idempotent by: the batch. Locks: the batch, which waits for a piece that is being kept. Raises: Unavailable.
        """
        # tidy: allow commit-outside-unit-of-work: nothing is emitted; a batch ends in its own rows
        async with self._connection.transaction() as connection:
            await cancel_batch(connection, batch_id, principal_id, self._clock())
