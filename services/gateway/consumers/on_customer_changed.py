"""Hears CustomerChanged: which limit profile a customer has."""

from collections.abc import Sequence
from typing import cast

from libs.common.contracts.accounts import CustomerChanged
from libs.common.db.hot import HotConnection
from libs.common.messaging.records import Received
from services.gateway.store.directory import save_profiles


class OnCustomerChanged:
    """Keeps the newest profile of each customer."""

    def __init__(self, connection: HotConnection) -> None:
        """Use the projection's connection."""
        self._connection = connection

    async def __call__(self, batch: Sequence[Received]) -> None:
        """Project one batch. Idempotent by: (user id, version)."""
        newest: dict[str, tuple[str, str, int]] = {}
        for received in batch:
            message = cast("CustomerChanged", received.message)
            if message.version > newest.get(message.user_id, ("", "", -1))[2]:
                newest[message.user_id] = (message.user_id, message.profile, message.version)
        async with self._connection.autocommit() as connection:
            await save_profiles(connection, sorted(newest.values()))
