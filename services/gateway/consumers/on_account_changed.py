"""Hears AccountChanged: who owns which account."""

from collections.abc import Sequence
from typing import cast

from libs.common.contracts.accounts import AccountChanged
from libs.common.db.hot import HotConnection
from libs.common.messaging.records import Received
from services.gateway.use_cases.keep_events import KeepEvents
from services.gateway.use_cases.project_directory import project_accounts


class OnAccountChanged:
    """Keeps the newest state of each account."""

    def __init__(self, connection: HotConnection, keep_events: KeepEvents) -> None:
        """Use the projection's connection; what changed is kept as events too."""
        self._connection = connection
        self._keep_events = keep_events

    async def __call__(self, batch: Sequence[Received]) -> None:
        """Project one batch. Idempotent by: (account id, version)."""
        changes = [cast("AccountChanged", received.message) for received in batch]
        await project_accounts(changes, self._connection)
        await self._keep_events.accounts(changes)
