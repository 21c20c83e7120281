"""What a command leaves for a running service to tell the bus."""

from libs.common.db.hot import HotConnection
from libs.common.messaging.outbox import Outbox, OutboxRow
from libs.common.messaging.publisher import Publisher


class LeftOutbox(Outbox):
    """Leaves each row where it is: the service's own sweeper publishes it within seconds."""

    def __init__(self, service: str, hot: HotConnection, client_id: str) -> None:
        """Take the command's connection; nothing is ever sent from here."""
        super().__init__(service, Publisher("", idempotence=False, client_id=client_id), hot)

    async def publish(self, row: OutboxRow) -> None:
        """Publish nothing."""
