"""A customer corrects his name."""

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import Forbidden, NotFound
from services.accounts.domain.customer import Customer
from services.accounts.store.customers import lock_customer, update_full_name


class ChangeName:
    """Sets the full name. The bus carries no names, so nobody hears of it."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(self, user_id: str, full_name: str, asker: Asker) -> Customer:
        """Store the name and return the customer; the audit entry says that it changed, not to what.

        Locks: the customer. Raises: NotFound `customer_not_found`, Forbidden `customer_closed`, Unavailable.
        """
        async with self._uow.begin() as tx:
            customer = await lock_customer(tx.connection, user_id)
            if customer is None:
                raise NotFound("customer_not_found", "There is no such customer.")
            if customer.status != "active":
                raise Forbidden("customer_closed", "This customer's relationship has ended.")
            renamed = await update_full_name(tx.connection, user_id, full_name)
            await record(tx, asker, "customer.rename", at=self._clock(), resource=("customer", user_id))
        return renamed
