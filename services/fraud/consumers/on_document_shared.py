"""Hears that customers have sent documents with one content."""

from collections.abc import Sequence

from libs.common.contracts.kyc import DocumentShared
from libs.common.messaging.records import Received
from services.fraud.use_cases.keep_signals import KeepSignals


class OnDocumentShared:
    """Hands a batch of `kyc.signals.v1` on."""

    def __init__(self, keep_signals: KeepSignals) -> None:
        """Use this use case."""
        self._keep_signals = keep_signals

    async def __call__(self, batch: Sequence[Received]) -> None:
        """Take them in one unit of work."""
        await self._keep_signals(
            [received.message for received in batch if isinstance(received.message, DocumentShared)]
        )
