"""Accounts whose opening nobody answered: the question or the answer was lost, so it is asked again."""

from itertools import groupby
from typing import Final

from libs.common.clock import Clock
from libs.common.contracts.topics import ACCOUNTS
from libs.common.db.unit_of_work import UnitOfWork
from services.accounts.domain.account import ask_again_after
from services.accounts.messages import account_changed
from services.accounts.metrics import ACCOUNTS_ASKED_AGAIN
from services.accounts.store.accounts import lock_unanswered_accounts, note_ask

_PAGE: Final = 100


class AskLedgerAgain:
    """Repeats `AccountChanged(opening)`; the ledger answers again for an account that it has opened already."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(self) -> int:
        """Ask for one page, at most 100, of those whose time has come; return how many that were.

        Locks: the accounts; those another process has locked are passed over. Emits: AccountChanged. Raises:
        Unavailable.
        """
        now = self._clock()
        async with self._uow.begin() as tx:
            page = sorted(
                await lock_unanswered_accounts(tx.connection, now, _PAGE), key=lambda unanswered: unanswered[1]
            )
            for asks, group in groupby(page, key=lambda unanswered: unanswered[1]):
                accounts = [account for account, _ in group]
                ids = [account.account_id for account in accounts]
                await note_ask(tx.connection, ids, asks + 1, now + ask_again_after(asks + 1))
                for account in accounts:
                    tx.emit(ACCOUNTS, account.account_id, account_changed(account))
        ACCOUNTS_ASKED_AGAIN.inc(len(page))
        return len(page)
