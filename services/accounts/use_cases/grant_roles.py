"""An admin decides what somebody may do."""

from collections.abc import Collection

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import Conflict, NotFound
from libs.common.http.permissions import STAFF
from services.accounts.domain.customer import Customer, read_roles
from services.accounts.store.customers import lock_admins, lock_customer, update_roles
from services.accounts.use_cases.revoke_credentials import revoke_credentials, revoke_known_keys


class GrantRoles:
    """Replaces somebody else's roles. His access tokens end, since they say what he was.

    Who loses a role of staff loses the API keys he made or was shown, too: of a service account's he may have a copy.
    """

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(self, *, asker: Asker, user_id: str, roles: Collection[str]) -> Customer:
        """Store the roles and the audit entry, and return the customer. Idempotent by: the set of roles.

        Locks: the customer, and all admins if he is to be none. Emits: CredentialsRevoked.
        Raises: Unprocessable `unknown_role`, NotFound `customer_not_found`, Conflict `last_admin`, Unavailable.
        """
        wanted = read_roles(roles)
        async with self._uow.begin() as tx:
            # First, and all of them: two admins who take the role from each other at once wait here for one another.
            admins = frozenset[str]() if "admin" in wanted else await lock_admins(tx.connection)
            customer = await lock_customer(tx.connection, user_id)
            if customer is None:
                raise NotFound("customer_not_found", "There is no such customer.")
            if customer.roles == wanted:
                return customer
            if admins == {user_id}:
                raise Conflict("last_admin", "Nobody else is an admin; make somebody one first.")
            now = self._clock()
            changed = await update_roles(tx.connection, user_id, wanted)
            await record(
                tx,
                asker,
                "customer.set_roles",
                at=now,
                resource=("customer", user_id),
                facts={"before": sorted(customer.roles), "after": sorted(wanted)},
            )
            await revoke_credentials(tx, user_id, now=now)
            if (customer.roles - wanted) & STAFF:
                await revoke_known_keys(tx, user_id, now=now)
        return changed
