"""Hears VerificationChanged: how far a customer is verified, told to fraud with each command."""

from collections.abc import Sequence
from typing import cast

from libs.common.contracts.kyc import VerificationChanged
from libs.common.db.hot import HotConnection
from libs.common.messaging.records import Received
from services.gateway.store.directory import save_tiers


class OnVerificationChanged:
    """Keeps the newest tier of each customer."""

    def __init__(self, connection: HotConnection) -> None:
        """Use the projection's connection."""
        self._connection = connection

    async def __call__(self, batch: Sequence[Received]) -> None:
        """Project one batch. Idempotent by: (user id, version)."""
        newest: dict[str, tuple[str, int, int]] = {}
        for received in batch:
            message = cast("VerificationChanged", received.message)
            if message.version > newest.get(message.user_id, ("", 0, -1))[2]:
                newest[message.user_id] = (message.user_id, message.tier, message.version)
        async with self._connection.autocommit() as connection:
            await save_tiers(connection, sorted(newest.values()))
