"""Fraud asks what became of transfers."""

from collections.abc import Sequence

from libs.common.contracts.fraud import OutcomeAsked
from libs.common.messaging.records import Received
from services.ledger.use_cases.tell_outcomes import TellOutcomes


class OnOutcomeAsked:
    """Hands a batch of `fraud.outcome-questions.v1` on."""

    def __init__(self, tell_outcomes: TellOutcomes) -> None:
        """Take the use case."""
        self._tell_outcomes = tell_outcomes

    async def __call__(self, batch: Sequence[Received]) -> None:
        """Answer all of them at once."""
        asked = [received.message.transfer_id for received in batch if isinstance(received.message, OutcomeAsked)]
        await self._tell_outcomes(asked)
