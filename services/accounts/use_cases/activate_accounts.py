"""The ledger has opened accounts: they are active from now on."""

from collections.abc import Mapping
from dataclasses import dataclass

from libs.common.clock import Clock
from libs.common.contracts.topics import ACCOUNTS
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.invariants import check
from services.accounts.messages import account_changed
from services.accounts.openings import Openings
from services.accounts.store.accounts import activate, lock_opening_accounts


@dataclass(frozen=True, slots=True)
class Opened:
    """What the ledger opened an account as."""

    owner_id: str
    asset: str


class ActivateAccounts:
    """Turns `opening` into `active`. Idempotent by: account_id; what is active or unknown here stays as it is."""

    def __init__(self, uow: UnitOfWork, openings: Openings, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._openings = openings
        self._clock = clock

    async def __call__(self, opened: Mapping[str, Opened]) -> None:
        """Activate the accounts (account_id → what the ledger says) and wake whoever waits for them.

        The ledger's own accounts, such as reserves, are unknown here and passed over. Locks: the accounts, lower id
        first. Emits: AccountChanged. Raises: InvariantBroken when the ledger knows another owner or asset; Unavailable.
        """
        async with self._uow.begin() as tx:
            waiting = await lock_opening_accounts(tx.connection, opened.keys())
            for account in waiting:
                said = opened[account.account_id]
                check(
                    said == Opened(owner_id=account.owner_id, asset=account.asset),
                    "the ledger opens an account for its owner, in its asset",
                    account_id=account.account_id,
                )
            if waiting:
                ids = [account.account_id for account in waiting]
                for account in await activate(tx.connection, ids, self._clock()):
                    tx.emit(ACCOUNTS, account.account_id, account_changed(account))
        self._openings.settle(opened)
