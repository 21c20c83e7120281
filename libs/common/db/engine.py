"""The SQLAlchemy engine for everything that is not a hot path."""

from typing import Final

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from libs.common.db.failures import leaves_doubt
from libs.common.personal.sealing import Sealer

# Pages are read in the order of an index. Of an account that has far more rows than most, a bitmap scan would collect
# and sort all of them for the fifty that are asked for, and a plan made for the average account chooses it.
_SERVER_SETTINGS: Final = {
    "enable_bitmapscan": "off",
    "statement_timeout": "5s",
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "30s",
    "jit": "off",
}
_COMMAND_SECONDS: Final = 15.0


def make_engine(dsn: str, application_name: str, sealer: Sealer | None = None) -> AsyncEngine:
    """Make an engine with a small fixed pool: more connections than cores only queue inside PostgreSQL.

    `sealer` is for a service that stores personal data: its statements find it with `sealer_of`.

    No pre-ping (it costs a transaction a checkout): a lost connection surfaces as Unavailable and is replaced.
    """
    engine = create_async_engine(
        make_url(dsn).set(drivername="postgresql+asyncpg"),
        pool_size=4,
        max_overflow=4,
        pool_timeout=5.0,
        pool_recycle=1800,
        pool_use_lifo=True,
        connect_args={
            "timeout": 5.0,
            "command_timeout": _COMMAND_SECONDS,
            "prepared_statement_cache_size": 500,
            "server_settings": {**_SERVER_SETTINGS, "application_name": application_name},
        },
    )
    event.listen(engine.sync_engine, "handle_error", _cut_if_in_doubt)
    return engine if sealer is None else engine.execution_options(sealer=sealer)


async def driver_of(connection: AsyncConnection) -> asyncpg.Connection:
    """Return asyncpg's own connection below SQLAlchemy's, in the transaction that has begun on it, if any has."""
    raw = await connection.get_raw_connection()
    driver: asyncpg.Connection = raw.driver_connection
    return driver


def _cut_if_in_doubt(context: ExceptionContext) -> None:
    """Let the pool replace a connection of which nobody knows what the server does with it; the others go on."""
    if leaves_doubt(context.original_exception):
        context.is_disconnect = True
        context.invalidate_pool_on_disconnect = False
