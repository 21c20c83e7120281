"""Hears `LedgerAccountOpened`: the account may be used."""

from collections.abc import Sequence

from libs.common.contracts.ledger import LedgerAccountOpened
from libs.common.messaging.records import Received
from services.accounts.use_cases.activate_accounts import ActivateAccounts, Opened


class OnLedgerAccountOpened:
    """Activates a batch of accounts in one transaction."""

    def __init__(self, activate_accounts: ActivateAccounts) -> None:
        """Take the use case."""
        self._activate_accounts = activate_accounts

    async def __call__(self, batch: Sequence[Received]) -> None:
        """Translate the batch. Idempotent by: account_id. Raises: InvariantBroken, Unavailable."""
        opened = {
            received.message.account_id: Opened(owner_id=received.message.owner_id, asset=received.message.asset)
            for received in batch
            if isinstance(received.message, LedgerAccountOpened)
        }
        await self._activate_accounts(opened)
