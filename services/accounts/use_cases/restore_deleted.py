"""Admins bring back what was deleted; deleting is the way out of sight, and nothing is removed by either."""

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.contracts.topics import CUSTOMERS
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import Conflict, NotFound
from services.accounts.domain.customer import Customer
from services.accounts.messages import customer_changed
from services.accounts.store.accounts import find_account
from services.accounts.store.customers import find_customer, lock_customer
from services.accounts.store.deletions import delete_account, delete_customer, restore_account, restore_customer


class Deletions:
    """What is deleted is not found by any statement of this service until it is restored."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def delete_customer(self, user_id: str, asker: Asker) -> None:
        """Take a closed customer out of sight; his e-mail may register anew.

        Locks: the customer. Raises: NotFound `customer_not_found`, Conflict `customer_not_closed`, Unavailable.
        """
        async with self._uow.begin() as tx:
            customer = await lock_customer(tx.connection, user_id)
            if customer is None:
                raise NotFound("customer_not_found", "There is no such customer.")
            if customer.status != "closed":
                raise Conflict("customer_not_closed", "Only a customer who has closed is deleted.")
            now = self._clock()
            await delete_customer(tx.connection, user_id, now)
            await record(tx, asker, "customer.delete", at=now, resource=("customer", user_id))

    async def restore_customer(self, user_id: str, asker: Asker) -> Customer:
        """Bring back who was deleted or has closed, active as before; his accounts stay closed. Idempotent.

        Emits: CustomerChanged. Raises: NotFound `customer_not_found`, Conflict `email_taken`, `customer_erased`,
        Unavailable.
        """
        async with self._uow.begin() as tx:
            now = self._clock()
            restored = await restore_customer(tx.connection, user_id, now)
            if restored == "email_taken":
                raise Conflict("email_taken", "Somebody else has registered with his e-mail since.")
            customer = await find_customer(tx.connection, user_id)
            if customer is None:
                raise NotFound("customer_not_found", "There is no such customer.")
            if customer.status == "closed":
                raise Conflict("customer_erased", "What was known of this customer has been destroyed.")
            if restored == "restored":
                await record(tx, asker, "customer.restore", at=now, resource=("customer", user_id))
                tx.emit(CUSTOMERS, user_id, customer_changed(customer))
        return customer

    async def delete_account(self, account_id: str, asker: Asker) -> None:
        """Take a closed account out of its owner's list; the ledger keeps its entries.

        Raises: NotFound `account_not_found`, Conflict `account_not_closed`, Unavailable.
        """
        async with self._uow.begin() as tx:
            account = await find_account(tx.connection, account_id)
            if account is None:
                raise NotFound("account_not_found", "There is no such account.")
            now = self._clock()
            if not await delete_account(tx.connection, account_id, now):
                raise Conflict("account_not_closed", "Only an account that is closed for good is deleted.")
            await record(tx, asker, "account.delete", at=now, resource=("account", account_id))

    async def restore_account(self, account_id: str, asker: Asker) -> None:
        """Bring a deleted account back, closed as it was. Idempotent. Raises: NotFound `account_not_found`."""
        async with self._uow.begin() as tx:
            restored = await restore_account(tx.connection, account_id)
            if await find_account(tx.connection, account_id) is None:
                raise NotFound("account_not_found", "There is no such account.")
            if restored:
                now = self._clock()
                await record(tx, asker, "account.restore", at=now, resource=("account", account_id))
