"""Staff decide which limits a customer has: those of a person or those of a business."""

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.contracts.topics import CUSTOMERS
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import NotFound
from services.accounts.domain.customer import Customer, Profile
from services.accounts.messages import customer_changed
from services.accounts.store.customers import lock_customer, update_profile


class ChangeProfile:
    """Sets the profile. Idempotent by: the profile; setting what is set changes nothing and tells nobody."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(self, *, asker: Asker, user_id: str, profile: Profile) -> Customer:
        """Store the profile and the audit entry, and return the customer.

        Locks: the customer. Emits: CustomerChanged. Raises: NotFound `customer_not_found`, Unavailable.
        """
        async with self._uow.begin() as tx:
            customer = await lock_customer(tx.connection, user_id)
            if customer is None:
                raise NotFound("customer_not_found", "There is no such customer.")
            if customer.profile == profile:
                return customer
            now = self._clock()
            changed = await update_profile(tx.connection, user_id, profile, now)
            await record(
                tx,
                asker,
                "customer.set_profile",
                at=now,
                resource=("customer", user_id),
                facts={"before": customer.profile, "after": profile},
            )
            tx.emit(CUSTOMERS, user_id, customer_changed(changed))
        return changed
