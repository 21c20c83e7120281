"""What a service publishes of its tables, so that others can compare without reading them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import asyncpg

from libs.common.db.hot import HotConnection
from libs.common.digests.digest_table import DigestTable


class PublishedDigests:
    """A service's digest tables, over a connection of their own."""

    def __init__(self, hot: HotConnection, schema: str, rows: Mapping[str, str]) -> None:
        """`rows` is name → SELECT of `id` and `said`; whoever made the connection closes it."""
        self._hot = hot
        self._unsent = f"SELECT count(*) FROM {schema}.outbox WHERE recorded_at < now() - interval '15 seconds'"  # noqa: S608 -- the schema stands in the code
        self.tables = {name: DigestTable(self._patient, sql) for name, sql in rows.items()}

    async def count_unsent(self) -> int:
        """Return how many outbox rows the broker should have by now. Raises: Unavailable."""
        async with self._hot.autocommit() as connection:
            return int(await connection.fetchval(self._unsent))

    @asynccontextmanager
    async def _patient(self) -> AsyncIterator[asyncpg.Connection]:
        # tidy: allow commit-outside-unit-of-work: it only reads; its end takes the longer patience back
        async with self._hot.transaction() as connection:
            await connection.execute("SET LOCAL statement_timeout = '120s'")
            yield connection
