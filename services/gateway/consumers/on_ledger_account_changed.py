"""Hears LedgerAccountChanged: staff changed what an account may do."""

from collections.abc import Sequence

from libs.common.contracts.ledger import LedgerAccountChanged
from libs.common.db.hot import HotConnection
from libs.common.messaging.records import Received
from services.gateway.use_cases.keep_events import KeepEvents
from services.gateway.use_cases.project_directory import project_account_states


class OnLedgerAccountChanged:
    """Keeps each state of each account; that it was opened is heard from accounts."""

    def __init__(self, connection: HotConnection, keep_events: KeepEvents) -> None:
        """Use the projection's connection; what changed is kept as events too."""
        self._connection = connection
        self._keep_events = keep_events

    async def __call__(self, batch: Sequence[Received]) -> None:
        """Project one batch. Idempotent by: (account id, journal index)."""
        changes = [received.message for received in batch if isinstance(received.message, LedgerAccountChanged)]
        await project_account_states(changes, self._connection)
        await self._keep_events.account_states(changes)
