"""Hears VerificationChanged: how far a customer is verified, told to fraud with each command."""

from collections.abc import Sequence
from typing import cast

from libs.common.contracts.kyc import VerificationChanged
from libs.common.db.hot import HotConnection
from libs.common.messaging.records import Received
from services.gateway.use_cases.keep_events import KeepEvents
from services.gateway.use_cases.project_directory import project_tiers


class OnVerificationChanged:
    """Keeps the newest tier of each customer."""

    def __init__(self, connection: HotConnection, keep_events: KeepEvents) -> None:
        """Use the projection's connection; what changed is kept as events too."""
        self._connection = connection
        self._keep_events = keep_events

    async def __call__(self, batch: Sequence[Received]) -> None:
        """Project one batch. Idempotent by: (user id, version)."""
        changes = [cast("VerificationChanged", received.message) for received in batch]
        await project_tiers(changes, self._connection)
        await self._keep_events.verifications(changes)
