"""The one place that commits: state and outbox together, and only then the bus."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import asyncpg

from libs.common.contracts.base import Message
from libs.common.contracts.topics import Topic
from libs.common.crash_points import reached
from libs.common.db.hot import HotConnection, begun
from libs.common.invariants import check
from libs.common.messaging.outbox import Outbox, OutboxRow
from libs.common.messaging.outgoing_message import Outgoing, outgoing


class Transaction:
    """What is written together, and what is to be sent once it has committed.

    Until it has begun each statement stands for itself: any may read, and one may write, which then says everything.
    """

    __slots__ = ("_ending", "_outbox", "connection", "messages", "row", "service")

    def __init__(self, connection: asyncpg.Connection, outbox: Outbox, ending: AsyncExitStack) -> None:
        """Start with nothing to send; `ending` commits or rolls back what will have begun."""
        self.connection = connection
        self.service = outbox.schema
        self.messages: list[Outgoing] = []
        self.row: OutboxRow | None = None
        self._outbox = outbox
        self._ending = ending

    @property
    def has_begun(self) -> bool:
        """Tell whether what is written now commits at the end, all together."""
        begun: bool = self.connection.is_in_transaction()
        return begun

    async def write_together(self) -> None:
        """Begin unless begun, READ COMMITTED: what is written from here commits together, as the unit of work ends."""
        if not self.has_begun:
            await self._ending.enter_async_context(begun(self.connection))

    def emit(
        self, topic: Topic, key: str, message: Message, traceparent: str = "", *, message_id: str | None = None
    ) -> None:
        """Send this after the commit, in the order of the calls. `message_id` is for what is said again: it stays."""
        check(self.row is None, "whatever is sent stands in the outbox row", topic=topic.name)
        self.messages.append(outgoing(topic, key, message, message_id, traceparent=traceparent))

    async def driver(self) -> asyncpg.Connection:
        """Return the connection inside this transaction, for what writes beside it, such as the audit log."""
        await self.write_together()
        return self.connection

    @contextmanager
    def saying(self) -> Iterator[tuple[OutboxRow, list[str]]]:
        """Lend the outbox row to the statement that writes it, and the ids of acknowledged rows for it to delete.

        Nothing is emitted after this. Where no transaction has begun that statement commits, so let it write all.
        """
        if not self.has_begun:
            reached("fraud.before_commit")
        row = self._outbox.row(self.messages)
        with self._outbox.finished() as finished:
            yield row, finished
        self.row = row


class UnitOfWork:
    """Lends one connection, to one after the other: whoever is inside has memory and rows to himself."""

    def __init__(self, hot: HotConnection, outbox: Outbox) -> None:
        """Use this connection for everything that decides."""
        self._hot = hot
        self._outbox = outbox

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Transaction]:
        """Run a transaction: one outbox row holds everything emitted; it is published after the commit.

        Raises: Unavailable; nothing was written then, or nobody knows, and the same work is done again.
        """
        async with self.read_first() as transaction:
            await transaction.write_together()
            yield transaction

    @asynccontextmanager
    async def read_first(self) -> AsyncIterator[Transaction]:
        """Run a transaction as `open` does, but let whoever writes or locks begin it, or write all by one statement.

        Reads lose nothing outside of it: under READ COMMITTED each statement sees what was committed when it started.
        Raises: as `open`.
        """
        async with self._hot.autocommit() as connection, AsyncExitStack() as ending:
            transaction = Transaction(connection, self._outbox, ending)
            yield transaction
            if transaction.messages and transaction.row is None:
                await transaction.write_together()
                transaction.row = self._outbox.row(transaction.messages)
                await self._outbox.insert(connection, transaction.row)
            if transaction.has_begun:
                reached("fraud.before_commit")
        if transaction.row is not None:
            reached("fraud.after_commit_before_publish")
            await self._outbox.publish(transaction.row)
