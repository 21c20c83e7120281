"""A customer ends the relationship: his accounts close in the ledger first, then he and his log-ins end here."""

import asyncio
from typing import Final

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.contracts.topics import ACCOUNTS, CUSTOMERS
from libs.common.db.unit_of_work import Transaction, UnitOfWork
from libs.common.errors import Conflict, NotFound
from libs.common.ids import new_id
from services.accounts.domain.account import Account
from services.accounts.domain.customer import Customer
from services.accounts.domain.mail import Mail
from services.accounts.messages import account_changed, customer_changed
from services.accounts.sisters import Sisters
from services.accounts.store.accounts import close_accounts, read_open_accounts
from services.accounts.store.customers import lock_admins, lock_customer, mark_closed
from services.accounts.store.mails import queue_mail
from services.accounts.use_cases.end_sessions import end_sessions
from services.accounts.use_cases.revoke_credentials import revoke_credentials, revoke_known_keys

_AT_ONCE: Final = 20


class CloseCustomer:
    """Closes customers. Idempotent by: the customer; who is closed stays so."""

    def __init__(self, uow: UnitOfWork, sisters: Sisters, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._sisters = sisters
        self._clock = clock

    async def __call__(self, user_id: str, asker: Asker) -> None:
        """Close the customer and all his accounts, or nothing of what he would miss.

        The ledger decides whether an account may close. An account that it closed before another was refused stays
        closed, which takes money arriving within these milliseconds; staff make it active again.

        Locks: all admins, the customer. Emits: CustomerChanged, AccountChanged, CredentialsRevoked. Raises: NotFound
        `customer_not_found`; Conflict `last_admin`, `account_opening`, `customer_has_money`,
        `customer_has_restrictions`; Unavailable.
        """
        accounts = await self._open_accounts(user_id)
        unsettled = await self._sisters.unsettled_account_of(user_id)
        if unsettled is not None:
            raise _has_money(unsettled)
        await self._close_in_ledger(user_id, accounts)
        async with self._uow.begin() as tx:
            customer = await _lock(tx, user_id)
            if customer.status == "closed":
                return
            if {one.account_id for one in await read_open_accounts(tx.connection, user_id)} - {
                one.account_id for one in accounts
            }:
                raise _opening()
            now = self._clock()
            for account in await close_accounts(tx.connection, user_id, now):
                tx.emit(ACCOUNTS, account.account_id, account_changed(account))
            closed = await mark_closed(tx.connection, user_id, now)
            tx.emit(CUSTOMERS, user_id, customer_changed(closed))
            await end_sessions(tx, user_id, asker, now=now)
            await revoke_credentials(tx, user_id, now=now)
            await revoke_known_keys(tx, user_id, now=now)
            await queue_mail(tx.connection, _farewell(customer.email))
            await record(tx, asker, "customer.close", at=now, resource=("customer", user_id))

    async def _open_accounts(self, user_id: str) -> list[Account]:
        async with self._uow.begin() as tx:
            customer = await _lock(tx, user_id)
            accounts = await read_open_accounts(tx.connection, customer.user_id)
        if any(account.status == "opening" for account in accounts):
            raise _opening()
        return list(accounts)

    async def _close_in_ledger(self, user_id: str, accounts: list[Account]) -> None:
        attempt_id = new_id()
        for start in range(0, len(accounts), _AT_ONCE):
            some = [one for one in accounts[start : start + _AT_ONCE] if one.ledger_status != "closed"]
            codes = await asyncio.gather(
                *(
                    self._sisters.close_account(account_id=account.account_id, owner_id=user_id, attempt_id=attempt_id)
                    for account in some
                )
            )
            for account, code in zip(some, codes, strict=True):
                if code not in {"", "account_closed"}:
                    raise _has_money(account.account_id) if code == "account_not_empty" else _restricted(account)


async def _lock(tx: Transaction, user_id: str) -> Customer:
    """Return the customer, locked. Raises: NotFound, and Conflict `last_admin` if nobody else is one."""
    # All of them, and first: two admins who leave at once wait here for one another.
    admins = await lock_admins(tx.connection)
    customer = await lock_customer(tx.connection, user_id)
    if customer is None:
        raise NotFound("customer_not_found", "There is no such customer.")
    if admins == {user_id}:
        raise Conflict("last_admin", "Nobody else is an admin; make somebody one first.")
    return customer


def _has_money(account_id: str) -> Conflict:
    return Conflict(
        "customer_has_money",
        "Empty your accounts first, and wait for what is pending on them.",
        account_id=account_id,
    )


def _restricted(account: Account) -> Conflict:
    return Conflict(
        "customer_has_restrictions", "An account of yours is restricted; ask support.", account_id=account.account_id
    )


def _opening() -> Conflict:
    return Conflict("account_opening", "An account of yours is still being opened; try again in a moment.")


def _farewell(to: str) -> Mail:
    return Mail(
        to=to,
        subject="Your accounts are closed",
        text=(
            "As you asked, your accounts at Tallystick are closed and nobody can log in with this e-mail any more.\n"
            "If it was not you who asked, tell our support: an administrator can undo it.\n"
        ),
    )
