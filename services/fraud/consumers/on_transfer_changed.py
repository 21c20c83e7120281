"""Hears what the ledger did with transfers: limits are settled by it, and what was posted is watched."""

from collections.abc import Sequence

from libs.common.contracts.ledger import TransferChanged
from libs.common.messaging.records import Received
from services.fraud.use_cases.settle_limits import SettleLimits
from services.fraud.use_cases.watch_postings import WatchPostings


class OnTransferChanged:
    """Hands a batch of `ledger.transfers.v1` on. Each use case has a group of its own and waits for no other."""

    def __init__(self, use_case: SettleLimits | WatchPostings) -> None:
        """Use this use case."""
        self._use_case = use_case

    async def __call__(self, batch: Sequence[Received]) -> None:
        """Take them in one unit of work."""
        await self._use_case([received.message for received in batch if isinstance(received.message, TransferChanged)])
