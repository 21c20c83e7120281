"""Hears what customers ask for, and has it screened."""

from collections.abc import Sequence

from libs.common.contracts.gateway import TransferBatchRequested, TransferRequested
from libs.common.messaging.records import Received
from services.fraud.consumers.on_transfer_batch_requested import batch_asked
from services.fraud.use_cases.find_payees import Asked
from services.fraud.use_cases.screen_transfers import ScreenTransfers


class OnTransferRequested:
    """Hands a batch of `gateway.transfer-requests.v1` to screening, in order; it brings both kinds of request."""

    def __init__(self, screen_transfers: ScreenTransfers) -> None:
        """Use this use case."""
        self._screen_transfers = screen_transfers

    async def __call__(self, batch: Sequence[Received]) -> None:
        """Screen them in one unit of work."""
        asked = []
        for received in batch:
            match received.message:
                case TransferRequested(command=command):
                    asked.append(Asked((command,)))
                case TransferBatchRequested() as message:
                    asked.append(batch_asked(message))
        await self._screen_transfers(asked)
