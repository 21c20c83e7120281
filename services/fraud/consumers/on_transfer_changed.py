"""Hears what the ledger did with transfers; what moved nothing gives its slot back."""

from collections.abc import Sequence

from libs.common.contracts.ledger import TransferChanged
from libs.common.messaging.records import Received
from services.fraud.use_cases.settle_limits import SettleLimits


class OnTransferChanged:
    """Hands a batch of ` what moved nothing gives its slot back.:ledger.transfers.v1` on."""

    def __init__(self, settle_limits: SettleLimits) -> None:
        """Use this use case."""
        self._settle_limits = settle_limits

    async def __call__(self, batch: Sequence[Received]) -> None:
        """Take them in one unit of work."""
        await self._settle_limits(
            [received.message for received in batch if isinstance(received.message, TransferChanged)]
        )
