"""The installation makes somebody an admin whom no other admin could make one."""

from dataclasses import replace

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import Conflict
from services.accounts.domain.customer import Customer
from services.accounts.passwords import Passwords
from services.accounts.store.customers import lock_admins, lock_creating_admins
from services.accounts.use_cases.register_customer import first_hash, new_customer, store_new


class CreateAdmin:
    """Registers an admin whose e-mail the installation vouches for: he proves nothing and is mailed nothing."""

    def __init__(self, uow: UnitOfWork, passwords: Passwords, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._passwords = passwords
        self._clock = clock

    async def __call__(
        self, *, email: str, password: str, full_name: str, roles: frozenset[str], another: bool, asker: Asker
    ) -> Customer:
        """Store the admin and the audit entry; `another` lets there be one already.

        Locks: all admins, and whoever else creates one. Emits: CustomerChanged.
        Raises: Unprocessable `email_invalid`, `password_common` or `password_personal`, Conflict `admin_exists` or
        `email_taken`, Unavailable.
        """
        now = self._clock()
        admin = replace(new_customer(email, full_name, roles, now=now), email_verified_at=now)
        password_hash = await first_hash(self._passwords, admin, password)
        async with self._uow.begin() as tx:
            await lock_creating_admins(tx.connection)
            if not another and await lock_admins(tx.connection):
                raise Conflict("admin_exists", "There is an admin already, who makes others.")
            await store_new(tx, admin, password_hash)
            await record(
                tx,
                asker,
                "customer.set_roles",
                at=now,
                resource=("customer", admin.user_id),
                facts={"before": [], "after": sorted(roles)},
            )
        return admin
