"""One PostgreSQL connection for a hot path: plans pinned, reconnecting, one user at a time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from libs.common.db.array_encoding import ask_by_concrete_type
from libs.common.db.failures import as_unavailable, leaves_doubt
from libs.common.errors import Unavailable
from libs.common.invariants import check

# Prepared array statements that are planned on a young table keep their sequential scan for ever, at 40 to 50 µs a
# row. With scans and hash or merge joins off, the generic plan made once is the one we want at every size.
# Whoever stands still in the middle of a transaction keeps its locks for so long at most, and none of ours waits for
# anything else but PostgreSQL within one. Less than a session on the bus (30 s): who takes over finds them free.
_PINNED: Final = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
    "statement_timeout": "10s",
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "10s",
}
_CONNECT_SECONDS: Final = 5.0
_COMMAND_SECONDS: Final = 15.0


class HotConnection:
    """A single pinned connection. Whoever uses it waits for the one before; a lost one is replaced at the next use."""

    def __init__(self, dsn: str, application_name: str) -> None:
        """Remember where to connect; nothing is opened yet."""
        self._dsn = dsn
        self._settings = {**_PINNED, "application_name": application_name}
        self._connection: asyncpg.Connection | None = None
        self._lock = asyncio.Lock()

    async def connect(self) -> None:
        """Open the connection now. Raises: Unavailable."""
        async with self._lock:
            await self._ready()

    async def close(self) -> None:
        """Close it; a broken one is cut."""
        connection, self._connection = self._connection, None
        if connection is None or connection.is_closed():
            return
        try:
            await connection.close(timeout=_CONNECT_SECONDS)
        except (TimeoutError, OSError, asyncpg.PostgresError):
            connection.terminate()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[asyncpg.Connection]:
        """Run one READ COMMITTED transaction: commits at the end, rolls back on any exception. Raises: Unavailable.

        A connection lost while committing leaves the outcome unknown; the caller repeats the same work, and natural
        keys make the effect once.
        """
        async with self.autocommit() as connection, begun(connection):
            yield connection

    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[asyncpg.Connection]:
        """Lend the connection for single statements, each its own transaction. Raises: Unavailable.

        A connection lost while a statement writes leaves its outcome as unknown as that of a commit.
        """
        async with self._lock:
            connection = await self._ready()
            try:
                yield connection
            except BaseException as failure:
                if leaves_doubt(failure) or _is_in_transaction(connection):
                    connection.terminate()  # a new one is cheaper than a guess
                unavailable = as_unavailable(failure)
                if unavailable is not None and not isinstance(failure, Unavailable):
                    raise unavailable from failure
                raise

    async def _ready(self) -> asyncpg.Connection:
        if self._connection is not None and _is_in_transaction(self._connection):
            self._connection.terminate()  # whose it was is not known, so nothing of it may be committed
        if self._connection is None or self._connection.is_closed():
            ask_by_concrete_type()
            try:
                self._connection = await asyncpg.connect(
                    self._dsn,
                    timeout=_CONNECT_SECONDS,
                    command_timeout=_COMMAND_SECONDS,
                    statement_cache_size=200,
                    max_cached_statement_lifetime=0,
                    server_settings=self._settings,
                )
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as failure:
                unavailable = as_unavailable(failure)
                if unavailable is None:
                    raise
                raise unavailable from failure
        return self._connection


@asynccontextmanager
async def begun(connection: asyncpg.Connection, mode: str = "ISOLATION LEVEL READ COMMITTED") -> AsyncIterator[None]:
    """Run one transaction on the connection: commits at the end, rolls back on any exception.

    Not asyncpg's own, which goes on from a begin that failed as if it had succeeded: all that came later would be
    savepoints in a transaction that nobody ends. Raises: what asyncpg raises; InvariantBroken when the server has
    rolled back what it was asked to commit.
    """
    try:
        await connection.execute(f"BEGIN {mode}")
    except BaseException:
        connection.terminate()
        raise
    try:
        yield
    except BaseException as failure:
        if leaves_doubt(failure) or connection.is_closed():
            connection.terminate()
        else:
            await connection.execute("ROLLBACK")
        raise
    try:
        ended = await connection.execute("COMMIT")
    except BaseException as failure:
        if leaves_doubt(failure):
            connection.terminate()
        raise
    check(ended == "COMMIT", "what was asked to be committed is committed", ended=ended)


def _is_in_transaction(connection: asyncpg.Connection) -> bool:
    """Tell what the server said last; a connection that is closed is in none."""
    return not connection.is_closed() and connection.is_in_transaction()
