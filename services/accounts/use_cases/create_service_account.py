"""An admin makes a principal for a machine."""

from collections.abc import Collection

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.contracts.topics import CUSTOMERS
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.http.idempotency import Once
from libs.common.ids import new_id
from libs.common.invariants import check
from services.accounts.domain.service_account import ServiceAccount, read_machine_roles
from services.accounts.messages import customer_changed
from services.accounts.store.customers import insert_customer
from services.accounts.store.service_accounts import NO_PASSWORD, insert_service_account


class CreateServiceAccount:
    """Makes service accounts: customers without a password, whom only their API keys let in."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(self, once: Once[str], *, asker: Asker, name: str, roles: Collection[str]) -> str:
        """Store it, with the limits of a business, and return its id.

        Idempotent by: the request's key. Emits: CustomerChanged.
        Raises: AnsweredBefore, Unprocessable `unknown_role`, `role_not_for_machines`, Unavailable.
        """
        machine = ServiceAccount(new_id(), name, read_machine_roles(roles), self._clock(), asker.actor_id)
        customer = machine.as_customer()
        async with once.work(self._uow) as tx:
            is_new = await insert_customer(tx.connection, customer, NO_PASSWORD)
            check(is_new, "a machine's address holds its own id", user_id=machine.user_id)
            await insert_service_account(tx.connection, machine)
            await record(
                tx,
                asker,
                "service_account.create",
                at=machine.created_at,
                resource=("customer", machine.user_id),
                facts={"roles": sorted(machine.roles)},
            )
            tx.emit(CUSTOMERS, machine.user_id, customer_changed(customer))
            tx.made(machine.user_id)
        return machine.user_id
