"""Hears what the ledger posted, to watch it for money laundering."""

from collections.abc import Sequence

from libs.common.contracts.ledger import TransferChanged
from libs.common.messaging.records import Received
from services.fraud.use_cases.watch_postings import WatchPostings


class OnTransferPosted:
    """Hands a batch of `ledger.transfers.v1` on, in a group of its own: whatever it costs, limits do not wait."""

    def __init__(self, watch_postings: WatchPostings) -> None:
        """Use this use case."""
        self._watch_postings = watch_postings

    async def __call__(self, batch: Sequence[Received]) -> None:
        """Take them in one unit of work."""
        await self._watch_postings(
            [received.message for received in batch if isinstance(received.message, TransferChanged)]
        )
