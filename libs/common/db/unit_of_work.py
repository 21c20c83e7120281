"""One transaction with its messages: the only place that commits SQLAlchemy work."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from libs.common.contracts.base import Message
from libs.common.contracts.topics import Topic
from libs.common.db.engine import driver_of
from libs.common.db.failures import DATABASE_FAILURES, as_unavailable
from libs.common.errors import Unavailable
from libs.common.messaging.outbox import Outbox
from libs.common.messaging.outgoing_message import Outgoing, outgoing


class Transaction:
    """A running transaction: `connection` for SQL, `emit` for what is to be said once it has committed."""

    def __init__(self, connection: AsyncConnection, service: str) -> None:
        """Begin with nothing to say, in this service's schema."""
        self.connection = connection
        self.service = service
        self.messages: list[Outgoing] = []

    def emit(self, topic: Topic, key: str, message: Message) -> None:
        """Say this once the transaction has committed, and only then."""
        self.messages.append(outgoing(topic, key, message))

    async def driver(self) -> asyncpg.Connection:
        """Return asyncpg's connection inside this transaction; SQLAlchemy begins lazily, so it must have begun."""
        await self.connection.exec_driver_sql("SELECT 1")
        return await driver_of(self.connection)

    @asynccontextmanager
    async def undone_by_failure(self) -> AsyncIterator[None]:
        """Undo what the block did if it raises, and say nothing of it; what came before may still commit."""
        said = len(self.messages)
        try:
            async with self.connection.begin_nested():
                yield
        except BaseException:
            del self.messages[said:]
            raise


class UnitOfWork:
    """Begins transactions; commits state and outbox row together, then publishes from memory."""

    def __init__(self, engine: AsyncEngine, outbox: Outbox) -> None:
        """Use this engine and this outbox."""
        self._engine = engine
        self._outbox = outbox

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        """Run one transaction. Commits: at the end of the block; any exception rolls back. Raises: Unavailable."""
        row = None
        try:
            async with self._engine.begin() as connection:
                transaction = Transaction(connection, self._outbox.schema)
                yield transaction
                if transaction.messages:
                    row = self._outbox.row(transaction.messages)
                    await self._outbox.insert(await transaction.driver(), row)
        except PoolTimeout as failure:
            raise Unavailable("database_busy", "All database connections are in use; try again.") from failure
        except DATABASE_FAILURES as failure:
            unavailable = as_unavailable(failure)
            if unavailable is None:
                raise
            raise unavailable from failure
        if row is not None:
            await self._outbox.publish(row)
