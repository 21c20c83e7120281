"""Compliance erases what is known of a person once the law no longer asks to keep it."""

from datetime import timedelta

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock, to_rfc3339
from libs.common.contracts.accounts import CustomerErased
from libs.common.contracts.topics import ERASURES
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import Conflict, NotFound
from services.accounts.store.deletions import erase_customer


class EraseCustomer:
    """Destroys a closed customer's key. Idempotent by: the customer; erasing again tells the others again."""

    def __init__(self, uow: UnitOfWork, clock: Clock, *, retention: timedelta) -> None:
        """Take what it works with; `retention` is how long data is kept after closing."""
        self._uow = uow
        self._clock = clock
        self._retention = retention

    async def __call__(self, user_id: str, asker: Asker) -> None:
        """Erase the customer here, and have the others erase him; a deleted one too.

        Locks: the customer. Emits: CustomerErased. Raises: NotFound `customer_not_found`; Conflict
        `customer_not_closed`, `retention_not_over`; Unavailable.
        """
        async with self._uow.begin() as tx:
            now = self._clock()
            result = await erase_customer(tx.connection, user_id, closed_before=now - self._retention, now=now)
            if result == "unknown":
                raise NotFound("customer_not_found", "There is no such customer.")
            if result == "open":
                raise Conflict("customer_not_closed", "Only a customer who has closed is erased.")
            if result == "retained":
                days = self._retention.days
                raise Conflict("retention_not_over", "The law still asks to keep this data.", retention_days=days)
            await record(tx, asker, "customer.erase", at=now, resource=("customer", user_id))
            tx.emit(ERASURES, user_id, CustomerErased(user_id=user_id, occurred_at=to_rfc3339(now)))
