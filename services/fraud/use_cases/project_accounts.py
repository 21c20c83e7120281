"""Project who owns which account, to know who is paid when the gateway did not know it yet."""

from collections.abc import Sequence

from libs.common.contracts.accounts import AccountChanged
from services.fraud.store.projections import save_accounts
from services.fraud.store.unit_of_work import UnitOfWork
from services.fraud.use_cases.keep_newest import keep_newest


class ProjectAccounts:
    """Keeps accounts and their owners. Idempotent by: (account_id, version). Raises: Unavailable."""

    def __init__(self, work: UnitOfWork) -> None:
        """Use the unit of work that screening uses."""
        self._work = work

    async def __call__(self, changes: Sequence[AccountChanged]) -> None:
        """Keep the newest state of each account."""
        async with self._work.open() as transaction:
            await save_accounts(transaction.connection, keep_newest(changes, lambda change: change.account_id))
