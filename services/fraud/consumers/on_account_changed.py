"""Hears of accounts and their owners."""

from collections.abc import Sequence

from libs.common.contracts.accounts import AccountChanged
from libs.common.messaging.records import Received
from services.fraud.use_cases.project_accounts import ProjectAccounts


class OnAccountChanged:
    """Hands a batch of `accounts.accounts.v1` on."""

    def __init__(self, project_accounts: ProjectAccounts) -> None:
        """Use this use case."""
        self._project_accounts = project_accounts

    async def __call__(self, batch: Sequence[Received]) -> None:
        """Take them in one unit of work."""
        await self._project_accounts(
            [received.message for received in batch if isinstance(received.message, AccountChanged)]
        )
