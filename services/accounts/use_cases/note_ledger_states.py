"""Staff changed what accounts may do in the ledger: their owners are shown it."""

from collections.abc import Mapping

from libs.common.contracts.ledger import LedgerAccountChanged
from libs.common.db.unit_of_work import UnitOfWork
from services.accounts.store.accounts import note_ledger_status


class NoteLedgerStates:
    """Keeps the newest state of each account. Idempotent by: (account_id, journal index)."""

    def __init__(self, uow: UnitOfWork) -> None:
        """Take what it works with."""
        self._uow = uow

    async def __call__(self, newest: Mapping[str, LedgerAccountChanged]) -> None:
        """Store account_id → its newest state. Nobody is told: whoever needs to know hears the ledger himself.

        Locks: the accounts, lower id first. Raises: Unavailable.
        """
        async with self._uow.begin() as tx:
            for account_id, message in sorted(newest.items()):
                await note_ledger_status(tx.connection, account_id, message.status, message.journal_index)
