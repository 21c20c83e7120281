"""Hears what customers ask for, and has it screened."""

from collections.abc import Sequence

from libs.common.contracts.gateway import TransferBatchRequested, TransferRequested
from libs.common.messaging.records import Received
from libs.common.telemetry.traces import batch_spans
from services.fraud.consumers.on_transfer_batch_requested import batch_asked
from services.fraud.use_cases.find_payees import Asked
from services.fraud.use_cases.screen_transfers import ScreenTransfers


class OnTransferRequested:
    """Hands a batch of `gateway.transfer-requests.v1` to screening, in order; it brings both kinds of request."""

    def __init__(self, screen_transfers: ScreenTransfers) -> None:
        """Use this use case."""
        self._screen_transfers = screen_transfers

    async def __call__(self, batch: Sequence[Received]) -> None:
        """Screen them in one unit of work; single transfers that are traced have a span for it."""
        with batch_spans("fraud.screen", _traced(batch), len(batch)) as onward:
            asked = []
            for received in batch:
                match received.message:
                    case TransferRequested(command=command):
                        asked.append(Asked((command,), traceparent=onward.get(command.transfer_id, "")))
                    case TransferBatchRequested() as message:
                        asked.append(batch_asked(message))
            await self._screen_transfers(asked)


def _traced(batch: Sequence[Received]) -> dict[str, str]:
    return {
        received.message.command.transfer_id: received.traceparent
        for received in batch
        if received.traceparent and isinstance(received.message, TransferRequested)
    }
