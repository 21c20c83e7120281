"""A customer opens an account: asked over the bus, answered at once where the ledger is quick."""

import asyncio
from datetime import datetime
from typing import Final

from libs.common.clock import Clock, monotonic_seconds
from libs.common.contracts.topics import ACCOUNTS
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import Forbidden, NotFound
from libs.common.ids import new_id
from services.accounts.domain.account import Account, ask_again_after, require_known_asset
from services.accounts.domain.account_number import account_number
from services.accounts.messages import account_changed
from services.accounts.openings import Openings
from services.accounts.store.accounts import find_account, has_primary, insert_account, next_serial
from services.accounts.store.customers import lock_customer

_POLL_SECONDS: Final = 0.2


class OpenAccount:
    """Opens accounts. The first one of a customer is his primary."""

    def __init__(self, uow: UnitOfWork, openings: Openings, clock: Clock, *, patience_seconds: float) -> None:
        """Take what it works with; `patience_seconds` is how long a caller waits for the ledger."""
        self._uow = uow
        self._openings = openings
        self._clock = clock
        self._patience_seconds = patience_seconds

    async def __call__(self, *, owner_id: str, asset: str) -> Account:
        """Return the account, `active` if the ledger answered in time, else still `opening`.

        Locks: the customer. Emits: AccountChanged. Raises: Unprocessable `unknown_asset`, NotFound
        `customer_not_found`, Forbidden `customer_closed`, Unavailable.
        """
        require_known_asset(asset)
        account_id = new_id()
        with self._openings.expect(account_id) as opened:
            account = await self._write(account_id, owner_id, asset, self._clock())
            return await self._wait(account, opened)

    async def _write(self, account_id: str, owner_id: str, asset: str, now: datetime) -> Account:
        async with self._uow.begin() as tx:
            owner = await lock_customer(tx.connection, owner_id)
            if owner is None:
                raise NotFound("customer_not_found", "There is no such customer.")
            if owner.status != "active":
                raise Forbidden("customer_closed", "This customer's relationship has ended.")
            account = Account(
                account_id=account_id,
                account_number=account_number(await next_serial(tx.connection)),
                owner_id=owner_id,
                asset=asset,
                status="opening",
                is_primary=not await has_primary(tx.connection, owner_id),
                version=1,
                created_at=now,
                opened_at=None,
                changed_at=now,
            )
            await insert_account(tx.connection, account, ask_again_at=now + ask_again_after(1))
            tx.emit(ACCOUNTS, account_id, account_changed(account))
        return account

    async def _wait(self, account: Account, opened: asyncio.Event) -> Account:
        """Wait for the consumer's word; the table is the safety net, and the only source in a process without one."""
        deadline = monotonic_seconds() + self._patience_seconds
        while account.status == "opening" and (left := deadline - monotonic_seconds()) > 0:
            try:
                async with asyncio.timeout(min(left, _POLL_SECONDS)):
                    await opened.wait()
            except TimeoutError:
                pass
            async with self._uow.begin() as tx:
                account = await find_account(tx.connection, account.account_id) or account
        return account
