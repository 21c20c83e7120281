"""Hears `CustomerErased`: what he once applied with goes, too."""

from collections.abc import Sequence

from libs.common.contracts.accounts import CustomerErased
from libs.common.messaging.records import Received
from services.kyc.use_cases.forget_applicants import ForgetApplicants


class OnCustomerErased:
    """Hands a batch on."""

    def __init__(self, forget_applicants: ForgetApplicants) -> None:
        """Take the use case."""
        self._forget_applicants = forget_applicants

    async def __call__(self, batch: Sequence[Received]) -> None:
        """Forget the batch in one transaction. Idempotent by: user_id. Raises: Unavailable."""
        messages = [received.message for received in batch if isinstance(received.message, CustomerErased)]
        await self._forget_applicants(sorted({message.user_id for message in messages}))
