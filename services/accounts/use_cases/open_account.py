"""A customer opens an account: asked over the bus, answered at once where the ledger is quick."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock, monotonic_seconds
from libs.common.contracts.topics import ACCOUNTS
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import Forbidden, NotFound
from libs.common.http.idempotency import Once
from libs.common.ids import new_id
from services.accounts.domain.account import Account, ask_again_after, require_known_asset, require_room
from services.accounts.domain.account_number import account_number
from services.accounts.messages import account_changed
from services.accounts.openings import Openings
from services.accounts.store.accounts import (
    count_open_accounts,
    find_account,
    find_primary,
    insert_account,
    next_serial,
    set_primary,
)
from services.accounts.store.customers import lock_customer

_POLL_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Wanted:
    """An account as its future owner wants it."""

    owner_id: str
    asset: str
    name: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


class OpenAccount:
    """Opens accounts. A customer's first one is his primary, and so is one he opens when that one is closed."""

    def __init__(
        self,
        uow: UnitOfWork,
        openings: Openings,
        clock: Clock,
        *,
        patience_seconds: float,
        accounts_max: int,
    ) -> None:
        """Take what it works with.

        `patience_seconds` is how long a caller waits for the ledger, `accounts_max` how many accounts of one asset a
        customer has open at once.
        """
        self._uow = uow
        self._openings = openings
        self._clock = clock
        self._patience_seconds = patience_seconds
        self._accounts_max = accounts_max

    async def __call__(self, wanted: Wanted, once: Once[Account], asker: Asker) -> tuple[Account, bool]:
        """Return the account as it was asked for, and whether the ledger opened it in time.

        Idempotent by: the request's key. Locks: the key, the customer, then his primary account. Emits:
        AccountChanged. Raises: AnsweredBefore, Unprocessable `unknown_asset`, NotFound `customer_not_found`,
        Forbidden `customer_closed`, Rejected `account_limit_reached`, Unavailable.
        """
        account_id = new_id()
        with self._openings.expect(account_id) as opened:
            account = await self._write(account_id, wanted, once, asker)
            return account, await self._wait(account_id, opened)

    async def await_opening(self, account_id: str) -> bool:
        """Wait for an account asked for before; tell whether the ledger opened it in time. Raises: Unavailable."""
        with self._openings.expect(account_id) as opened:
            return await self._wait(account_id, opened)

    async def _write(self, account_id: str, wanted: Wanted, once: Once[Account], asker: Asker) -> Account:
        now = self._clock()
        async with once.work(self._uow) as tx:
            require_known_asset(wanted.asset)
            owner = await lock_customer(tx.connection, wanted.owner_id)
            if owner is None:
                raise NotFound("customer_not_found", "There is no such customer.")
            if owner.status != "active":
                raise Forbidden("customer_closed", "This customer's relationship has ended.")
            require_room(
                await count_open_accounts(tx.connection, wanted.owner_id, wanted.asset), most=self._accounts_max
            )
            primary = await find_primary(tx.connection, wanted.owner_id)
            if primary is not None and primary.is_closed:
                await set_primary(tx.connection, primary.account_id, is_primary=False)
                primary = None
            account = Account(
                account_id=account_id,
                account_number=account_number(await next_serial(tx.connection)),
                owner_id=wanted.owner_id,
                asset=wanted.asset,
                status="opening",
                is_primary=primary is None,
                version=1,
                created_at=now,
                opened_at=None,
                changed_at=now,
                name=wanted.name,
                metadata=wanted.metadata,
            )
            await insert_account(tx.connection, account, ask_again_at=now + ask_again_after(1))
            tx.emit(ACCOUNTS, account_id, account_changed(account))
            facts = {"asset": wanted.asset}
            await record(tx, asker, "account.open", at=now, resource=("account", account_id), facts=facts)
            tx.made(account)
        return account

    async def _wait(self, account_id: str, opened: asyncio.Event) -> bool:
        """Wait for the consumer's word; the table is the safety net, and the only source in a process without one."""
        deadline = monotonic_seconds() + self._patience_seconds
        while True:
            async with self._uow.begin() as tx:
                account = await find_account(tx.connection, account_id)
            if account is None or account.status != "opening":
                return account is not None
            left = deadline - monotonic_seconds()
            if left <= 0:
                return False
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, _POLL_SECONDS)):
                    await opened.wait()
