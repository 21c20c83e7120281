"""What watches postings works on a connection of its own: it sends nothing, and keeps nobody waiting who decides."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from libs.common.crash_points import reached
from libs.common.db.hot import HotConnection


class Watch:
    """Lends the connection, to one after the other: whoever is inside has memory and rows to himself."""

    def __init__(self, hot: HotConnection) -> None:
        """Use this connection, not the one that decides."""
        self._hot = hot

    @asynccontextmanager
    async def open(self) -> AsyncIterator[asyncpg.Connection]:
        """Run a transaction. Commits: at the end; rolls back on any exception.

        Raises: Unavailable; nothing was written then, or nobody knows, and the same work is done again.
        """
        async with self._hot.transaction() as connection:
            yield connection
            reached("fraud.watch_before_commit")
        reached("fraud.watch_after_commit")

    @asynccontextmanager
    async def look(self) -> AsyncIterator[asyncpg.Connection]:
        """Lend it for a single statement that reads. Raises: Unavailable."""
        async with self._hot.autocommit() as connection:
            yield connection
