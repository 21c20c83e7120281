"""Hears VerificationChanged: how far a customer is verified, told to fraud with each command."""

from collections.abc import Sequence
from typing import cast

from libs.common.contracts.kyc import VerificationChanged
from libs.common.db.hot import HotConnection
from libs.common.messaging.records import Received
from services.gateway.use_cases.project_directory import project_tiers


class OnVerificationChanged:
    """Keeps the newest tier of each customer."""

    def __init__(self, connection: HotConnection) -> None:
        """Use the projection's connection."""
        self._connection = connection

    async def __call__(self, batch: Sequence[Received]) -> None:
        """Project one batch. Idempotent by: (user id, version)."""
        await project_tiers([cast("VerificationChanged", received.message) for received in batch], self._connection)
