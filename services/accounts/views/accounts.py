"""What is told of accounts here: whose they are and whether they are open. Balances are the ledger's to tell."""

from collections.abc import Collection, Sequence
from datetime import datetime

from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import NotFound
from services.accounts.domain.account import Account
from services.accounts.store.accounts import find_account, find_accounts, read_accounts_of, read_deleted_accounts_of


class AccountView:
    """Looks accounts up."""

    def __init__(self, uow: UnitOfWork) -> None:
        """Take what it reads with."""
        self._uow = uow

    async def one(self, account_id: str) -> Account:
        """Return the account. Raises: NotFound `account_not_found`, Unavailable."""
        async with self._uow.begin() as tx:
            account = await find_account(tx.connection, account_id)
        if account is None:
            raise NotFound("account_not_found", "There is no such account, or it is not yours.")
        return account

    async def many(self, account_ids: Collection[str]) -> Sequence[Account]:
        """Return those of the accounts that there are. Raises: Unavailable."""
        async with self._uow.begin() as tx:
            return await find_accounts(tx.connection, account_ids)

    async def of(self, owner_id: str, after: str | None, limit: int) -> Sequence[Account]:
        """Return a page of the customer's accounts, oldest first, behind the account `after`. Raises: Unavailable."""
        async with self._uow.begin() as tx:
            return await read_accounts_of(tx.connection, owner_id, after, limit)

    async def deleted_of(self, owner_id: str, after: str, limit: int) -> Sequence[tuple[Account, datetime]]:
        """Return a page of (account, when it was deleted), oldest first, behind the account `after`.

        Raises: Unavailable.
        """
        async with self._uow.begin() as tx:
            return await read_deleted_accounts_of(tx.connection, owner_id, after, limit)
