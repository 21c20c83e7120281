"""An admin closes a service account."""

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.contracts.topics import CUSTOMERS
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import NotFound
from services.accounts.messages import customer_changed
from services.accounts.store.api_keys import revoke_keys
from services.accounts.store.customers import find_customer
from services.accounts.store.service_accounts import close_service_account, lock_service_account
from services.accounts.use_cases.revoke_credentials import revoke_credentials


class CloseServiceAccount:
    """Ends a service account with all its keys, for ever. Its accounts and what is on them stay."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(self, *, asker: Asker, user_id: str) -> None:
        """Close it.

        Locks: the service account. Emits: CustomerChanged, CredentialsRevoked.
        Raises: NotFound `service_account_not_found`, Unavailable.
        """
        async with self._uow.begin() as tx:
            if await lock_service_account(tx.connection, user_id) is None:
                raise NotFound("service_account_not_found", "There is no such service account.")
            now = self._clock()
            await close_service_account(tx.connection, user_id, now)
            await revoke_keys(tx.connection, user_id, now)
            await record(tx, asker, "service_account.close", at=now, resource=("customer", user_id))
            await revoke_credentials(tx, user_id, now=now)
            closed = await find_customer(tx.connection, user_id)
            assert closed is not None  # noqa: S101 -- locked above
            tx.emit(CUSTOMERS, user_id, customer_changed(closed))
