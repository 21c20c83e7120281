"""Hears `CustomerErased`: what a service knows of him goes, too."""

from collections.abc import Sequence

from libs.common.contracts.accounts import CustomerErased
from libs.common.messaging.records import Received
from libs.common.personal.fetch_erasures import Forget


class OnCustomerErased:
    """Hands a batch on."""

    def __init__(self, forget: Forget) -> None:
        """Take the use case."""
        self._forget = forget

    async def __call__(self, batch: Sequence[Received]) -> None:
        """Forget the batch's customers. Idempotent by: user_id. Raises: Unavailable."""
        messages = [received.message for received in batch if isinstance(received.message, CustomerErased)]
        await self._forget(sorted({message.user_id for message in messages}))
