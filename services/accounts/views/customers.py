"""What is told of a customer."""

from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import NotFound
from services.accounts.domain.customer import Customer
from services.accounts.store.customers import find_customer


class CustomerView:
    """Looks customers up."""

    def __init__(self, uow: UnitOfWork) -> None:
        """Take what it reads with."""
        self._uow = uow

    async def one(self, user_id: str) -> Customer:
        """Return the customer. Raises: NotFound `customer_not_found`, Unavailable."""
        async with self._uow.begin() as tx:
            customer = await find_customer(tx.connection, user_id)
        if customer is None:
            raise NotFound("customer_not_found", "There is no such customer.")
        return customer
