"""Hears AccountChanged: who owns which account."""

from collections.abc import Sequence
from typing import cast

from libs.common.contracts.accounts import AccountChanged
from libs.common.db.hot import HotConnection
from libs.common.messaging.records import Received
from services.gateway.store.directory import KnownAccount, save_accounts


class OnAccountChanged:
    """Keeps the newest state of each account."""

    def __init__(self, connection: HotConnection) -> None:
        """Use the projection's connection."""
        self._connection = connection

    async def __call__(self, batch: Sequence[Received]) -> None:
        """Project one batch. Idempotent by: (account id, version)."""
        newest: dict[str, AccountChanged] = {}
        for received in batch:
            message = cast("AccountChanged", received.message)
            seen = newest.get(message.account_id)
            if seen is None or seen.version < message.version:
                newest[message.account_id] = message
        accounts = [
            KnownAccount(m.account_id, m.owner_id, m.asset, m.status, m.version) for _, m in sorted(newest.items())
        ]
        async with self._connection.autocommit() as connection:
            await save_accounts(connection, accounts)
