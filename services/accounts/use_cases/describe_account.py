"""An owner writes on an account what it is for."""

from collections.abc import Mapping

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import NotFound
from services.accounts.domain.account import Account
from services.accounts.store.accounts import describe, find_account


class DescribeAccount:
    """Sets name and metadata. Idempotent by: what is set. Nobody is told: no other service may know these words."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(
        self, *, owner_id: str, account_id: str, description: Mapping[str, object], asker: Asker
    ) -> Account:
        """Store `name` (None removes it), `metadata` (replaces all of it) or both, and return the account.

        Locks: the account. Raises: NotFound `account_not_found` unless he owns it, Unavailable.
        """
        async with self._uow.begin() as tx:
            account = await find_account(tx.connection, account_id)
            if account is None or account.owner_id != owner_id:
                raise NotFound("account_not_found", "There is no such account, or it is not yours.")
            facts = {"changed": sorted(description)}
            at = self._clock()
            await record(tx, asker, "account.describe", at=at, resource=("account", account_id), facts=facts)
            return await describe(tx.connection, account_id, description)
