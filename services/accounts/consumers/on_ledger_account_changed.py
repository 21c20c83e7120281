"""Hears `LedgerAccountChanged`: staff froze, suspended, closed or reopened an account."""

from collections.abc import Sequence

from libs.common.contracts.ledger import LedgerAccountChanged
from libs.common.messaging.records import Received
from services.accounts.use_cases.note_ledger_states import NoteLedgerStates


class OnLedgerAccountChanged:
    """Notes the newest states of a batch in one transaction."""

    def __init__(self, note_ledger_states: NoteLedgerStates) -> None:
        """Take the use case."""
        self._note_ledger_states = note_ledger_states

    async def __call__(self, batch: Sequence[Received]) -> None:
        """Translate the batch. Idempotent by: (account_id, journal index). Raises: Unavailable."""
        newest: dict[str, LedgerAccountChanged] = {}
        for received in batch:
            message = received.message
            if isinstance(message, LedgerAccountChanged):
                seen = newest.get(message.account_id)
                if seen is None or seen.journal_index < message.journal_index:
                    newest[message.account_id] = message
        if newest:
            await self._note_ledger_states(newest)
