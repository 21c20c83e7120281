"""A customer says which of his accounts is the one that is meant when none is named."""

from dataclasses import replace

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import InvariantBroken, NotFound, Rejected
from services.accounts.domain.account import Account
from services.accounts.store.accounts import find_primary, lock_accounts, set_primary
from services.accounts.store.customers import lock_customer


class ChoosePrimary:
    """Moves the mark from one account to another, in one transaction. Idempotent by: the account."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(self, *, owner_id: str, account_id: str, asker: Asker) -> Account:
        """Make this account the customer's primary and return it.

        Locks: the customer, then both accounts, lower id first. Raises: NotFound `account_not_found` unless he owns
        it, Rejected `account_closed`, Unavailable.
        """
        async with self._uow.begin() as tx:
            await lock_customer(tx.connection, owner_id)
            before = await find_primary(tx.connection, owner_id)
            concerned = {account_id} | ({before.account_id} if before else set())
            locked = {account.account_id: account for account in await lock_accounts(tx.connection, concerned)}
            chosen = locked.get(account_id)
            if chosen is None or chosen.owner_id != owner_id:
                raise NotFound("account_not_found", "There is no such account, or it is not yours.")
            if chosen.is_closed:
                raise Rejected("account_closed", "A closed account cannot be the primary one; choose another.")
            if before is None:
                raise InvariantBroken("whoever has an account has a primary one", account_id=account_id)
            await set_primary(tx.connection, before.account_id, is_primary=False)
            await set_primary(tx.connection, account_id, is_primary=True)
            facts = {"before": before.account_id}
            at = self._clock()
            await record(tx, asker, "account.set_primary", at=at, resource=("account", account_id), facts=facts)
        return replace(chosen, is_primary=True)
