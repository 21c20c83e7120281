"""The ledger changed what accounts may do: their owners are shown it."""

from collections.abc import Mapping

from libs.common.contracts.ledger import LedgerAccountChanged
from libs.common.db.unit_of_work import Transaction, UnitOfWork
from services.accounts.store.accounts import (
    find_oldest_open,
    find_primary,
    note_ledger_status,
    read_owners,
    set_primary,
)
from services.accounts.store.customers import lock_customer


class NoteLedgerStates:
    """Keeps the newest state of each account. Idempotent by: (account_id, journal index)."""

    def __init__(self, uow: UnitOfWork) -> None:
        """Take what it works with."""
        self._uow = uow

    async def __call__(self, newest: Mapping[str, LedgerAccountChanged]) -> None:
        """Store account_id → its newest state. Nobody is told: whoever needs to know hears the ledger himself.

        When a primary account is closed, the oldest of its owner's open ones follows it; the last one stays primary.

        Locks: the owners of closed accounts, then the accounts, each with the lower id first. Raises: Unavailable.
        """
        closed = [account_id for account_id, message in newest.items() if message.status == "closed"]
        async with self._uow.begin() as tx:
            owners = await read_owners(tx.connection, closed) if closed else ()
            for owner_id in owners:
                await lock_customer(tx.connection, owner_id)
            for account_id, message in sorted(newest.items()):
                await note_ledger_status(tx.connection, account_id, message.status, message.journal_index)
            for owner_id in owners:
                await _let_open_one_follow(tx, owner_id)


async def _let_open_one_follow(tx: Transaction, owner_id: str) -> None:
    primary = await find_primary(tx.connection, owner_id)
    if primary is None or not primary.is_closed:
        return
    successor = await find_oldest_open(tx.connection, owner_id)
    if successor is not None:
        await set_primary(tx.connection, primary.account_id, is_primary=False)
        await set_primary(tx.connection, successor.account_id, is_primary=True)
