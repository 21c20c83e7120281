"""An account was asked for: open it in the books."""

from collections.abc import Sequence

from libs.common.contracts.accounts import AccountChanged
from libs.common.messaging.records import Received
from services.ledger.use_cases.open_accounts import OpenAccounts


class OnAccountChanged:
    """Hands what concerns the books to the use case; every other state is accounts' own echo of our answer."""

    def __init__(self, open_accounts: OpenAccounts) -> None:
        """Take the use case."""
        self._open_accounts = open_accounts

    async def __call__(self, batch: Sequence[Received]) -> None:
        """Handle one batch as one unit of work."""
        changes = [received.message for received in batch if isinstance(received.message, AccountChanged)]
        concerning = [change for change in changes if change.status == "opening"]
        if concerning:
            await self._open_accounts(concerning)
