"""Hears AccountChanged: who owns which account."""

from collections.abc import Sequence
from typing import cast

from libs.common.contracts.accounts import AccountChanged
from libs.common.db.hot import HotConnection
from libs.common.messaging.records import Received
from services.gateway.use_cases.project_directory import project_accounts


class OnAccountChanged:
    """Keeps the newest state of each account."""

    def __init__(self, connection: HotConnection) -> None:
        """Use the projection's connection."""
        self._connection = connection

    async def __call__(self, batch: Sequence[Received]) -> None:
        """Project one batch. Idempotent by: (account id, version)."""
        await project_accounts([cast("AccountChanged", received.message) for received in batch], self._connection)
