"""Hand the newest signed checkpoint out, so that others hold what this database can later be measured by."""

from libs.common.contracts.ledger import CheckpointPublished
from libs.common.contracts.topics import CHECKPOINTS
from libs.common.db.hot import HotConnection
from libs.common.messaging.outgoing_message import outgoing
from services.ledger.store.checkpoints import load_newest_checkpoint
from services.ledger.use_cases.publish_outcomes import Sender
from services.ledger.use_cases.watch_witness import WatchWitness


class PublishCheckpoints:
    """Publishes from the table alone, and only what is newer than the last it published.

    First to the witness's folder: that needs no broker.
    """

    def __init__(self, hot: HotConnection, sender: Sender, witness: WatchWitness, shard: int) -> None:
        """Use a connection that the writer does not wait for."""
        self._hot = hot
        self._sender = sender
        self._witness = witness
        self._shard = shard
        self._published_size = 0

    async def __call__(self) -> None:
        """Publish the newest checkpoint unless it was published. Raises: Unavailable."""
        async with self._hot.autocommit() as connection:
            newest = await load_newest_checkpoint(connection, self._shard)
        if newest is None:
            return
        await self._witness.keep(newest)
        if newest.size <= self._published_size:
            return
        message = CheckpointPublished(shard=self._shard, size=newest.size, note=newest.note)
        key = str(self._shard)
        confirmed = await self._sender.send(
            [outgoing(CHECKPOINTS, key, message, message_id=f"checkpoint-{self._shard}-{newest.size}")]
        )
        await confirmed
        self._published_size = newest.size
