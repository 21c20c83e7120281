"""How answers are read: single statements on the pool's connections, each its own snapshot."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine

from libs.common.db.engine import driver_of
from libs.common.db.failures import DATABASE_FAILURES, as_unavailable
from libs.common.errors import Unavailable


class Reading:
    """Lends connections for reading; no two reads of one answer may need to agree."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Use this engine's pool."""
        self._engine = engine

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """Lend a connection outside of any transaction. Raises: Unavailable.

        The pool sees only what goes through SQLAlchemy: a connection whose server has gone would be lent for ever.
        """
        try:
            async with self._engine.connect() as pooled:
                driver = await driver_of(pooled)
                if driver.is_closed():
                    await pooled.invalidate()
                    driver = await driver_of(pooled)
                yield driver
        except PoolTimeout as failure:
            raise Unavailable("database_busy", "All database connections are in use; try again.") from failure
        except DATABASE_FAILURES as failure:
            unavailable = as_unavailable(failure)
            if unavailable is None:
                raise
            raise unavailable from failure
