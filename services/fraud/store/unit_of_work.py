"""The one place that commits: state and outbox together, and only then the bus."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from libs.common.contracts.base import Message
from libs.common.contracts.topics import Topic
from libs.common.crash_points import reached
from libs.common.db.hot import HotConnection
from libs.common.messaging.outbox import Outbox
from libs.common.messaging.outgoing_message import Outgoing, outgoing


class Transaction:
    """A transaction under way, and what is to be sent once it has committed."""

    __slots__ = ("connection", "outgoing")

    def __init__(self, connection: asyncpg.Connection) -> None:
        """Begin with nothing to send."""
        self.connection = connection
        self.outgoing: list[Outgoing] = []

    def emit(self, topic: Topic, key: str, message: Message, traceparent: str = "") -> None:
        """Send this after the commit, in the order of the calls."""
        self.outgoing.append(outgoing(topic, key, message, traceparent=traceparent))


class UnitOfWork:
    """Opens transactions on one connection, one after the other: whoever is inside has memory and rows to himself."""

    def __init__(self, hot: HotConnection, outbox: Outbox) -> None:
        """Use this connection for everything that decides."""
        self._hot = hot
        self._outbox = outbox

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Transaction]:
        """Run a transaction: one outbox row holds everything emitted; it is published after the commit.

        Raises: Unavailable; nothing was written then, or nobody knows, and the same work is done again.
        """
        row = None
        async with self._hot.transaction() as connection:
            transaction = Transaction(connection)
            yield transaction
            if transaction.outgoing:
                row = self._outbox.row(transaction.outgoing)
                await self._outbox.insert(connection, row)
            reached("fraud.before_commit")
        if row is not None:
            reached("fraud.after_commit_before_publish")
            await self._outbox.publish(row)
