"""What accounts says of accounts, as digests, so that the ledger can compare without reading its tables."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from libs.common.db.hot import HotConnection
from libs.common.digests.digest_table import DigestTable

# An account that is still opening is for the ledger to answer; until then both may be right.
_ACCOUNTS: Final = """
SELECT account_id AS id, concat_ws('|', owner_id, asset, account_number,
    CASE status WHEN 'closed' THEN 'closed' ELSE 'open' END) AS said
FROM accounts.accounts WHERE status <> 'opening'
"""
_UNSENT: Final = "SELECT count(*) FROM accounts.outbox WHERE recorded_at < now() - interval '15 seconds'"


class AccountsDigests:
    """The digest tables of accounts, over a connection of their own."""

    def __init__(self, hot: HotConnection) -> None:
        """Use this connection; whoever made it closes it."""
        self._hot = hot
        self.tables = {"accounts": DigestTable(self._patient, _ACCOUNTS)}

    async def count_unsent(self) -> int:
        """Return how many outbox rows the broker should have by now. Raises: Unavailable."""
        async with self._hot.autocommit() as connection:
            return int(await connection.fetchval(_UNSENT))

    @asynccontextmanager
    async def _patient(self) -> AsyncIterator[asyncpg.Connection]:
        async with self._hot.transaction() as connection:
            await connection.execute("SET LOCAL statement_timeout = '120s'")
            yield connection
