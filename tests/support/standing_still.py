"""Let something stand still at a lock, so that something else comes in between for certain."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.support.api_world import admin_connection

_WAITING = """
    SELECT application_name FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


@asynccontextmanager
async def standing(dsn: str, lock: str, *arguments: object) -> AsyncIterator[None]:
    """Let whoever needs this lock wait as long as the block lasts; what else the statement did is there then."""
    async with admin_connection(dsn) as connection, connection.transaction():
        await connection.execute(lock, *arguments)
        yield


async def until_waiting(dsn: str, count: int) -> list[str]:
    """Return once so many transactions in this database wait for a lock, by the names of their connections."""
    async with asyncio.timeout(30), admin_connection(dsn) as connection:
        while len(waiting := await connection.fetch(_WAITING)) < count:  # noqa: ASYNC110 -- PostgreSQL tells nobody
            await asyncio.sleep(0.01)
    return [row["application_name"] for row in waiting]


async def until_waiting_or_done(dsn: str, task: "asyncio.Task[Any]", count: int) -> None:
    """Return once so many wait for a lock; or the task is done, as it would be if it had to wait for nobody."""
    waiting = asyncio.create_task(until_waiting(dsn, count))
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
