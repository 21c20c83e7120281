"""Hears how customers' KYC stands; tiers change, and holds that waited for it end."""

from collections.abc import Sequence

from libs.common.contracts.kyc import VerificationChanged
from libs.common.messaging.records import Received
from services.fraud.use_cases.apply_verifications import ApplyVerifications


class OnVerificationChanged:
    """Hands a batch of ` tiers change, and holds that waited for it end.:kyc.verifications.v1` on."""

    def __init__(self, apply_verifications: ApplyVerifications) -> None:
        """Use this use case."""
        self._apply_verifications = apply_verifications

    async def __call__(self, batch: Sequence[Received]) -> None:
        """Take them in one unit of work."""
        await self._apply_verifications(
            [received.message for received in batch if isinstance(received.message, VerificationChanged)]
        )
