"""Hears which limit profile a customer has."""

from collections.abc import Sequence

from libs.common.contracts.accounts import CustomerChanged
from libs.common.messaging.records import Received
from services.fraud.use_cases.apply_customers import ApplyCustomers


class OnCustomerChanged:
    """Hands a batch of `accounts.customers.v1` on."""

    def __init__(self, apply_customers: ApplyCustomers) -> None:
        """Use this use case."""
        self._apply_customers = apply_customers

    async def __call__(self, batch: Sequence[Received]) -> None:
        """Take them in one unit of work."""
        await self._apply_customers(
            [received.message for received in batch if isinstance(received.message, CustomerChanged)]
        )
