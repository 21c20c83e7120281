"""Hears CustomerChanged: which limit profile a customer has, and that one has closed."""

from collections.abc import Sequence
from typing import cast

from libs.common.contracts.accounts import CustomerChanged
from libs.common.db.hot import HotConnection
from libs.common.messaging.records import Received
from services.gateway.use_cases.project_directory import project_profiles


class OnCustomerChanged:
    """Keeps the newest profile of each customer."""

    def __init__(self, connection: HotConnection) -> None:
        """Use the projection's connection."""
        self._connection = connection

    async def __call__(self, batch: Sequence[Received]) -> None:
        """Project one batch. Idempotent by: (user id, version)."""
        await project_profiles([cast("CustomerChanged", received.message) for received in batch], self._connection)
