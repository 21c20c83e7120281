"""The ledger's reading pool outlives a server that ends its connections."""

import asyncio

import asyncpg
import pytest

from libs.common.db.engine import make_engine
from libs.common.db.reading import Reading
from libs.common.errors import Unavailable

END_OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'reading-test'"


async def lose_it_while_reading(reading: Reading) -> None:
    async with reading.connection() as connection:
        await connection.close()
        await connection.fetchval("SELECT 3")


async def test_a_connection_the_server_ended_is_unavailable_at_most_and_replaced_at_the_next_use(
    ledger_dsn: str, admin_dsn: str
) -> None:
    engine = make_engine(ledger_dsn, "reading-test")
    reading = Reading(engine)
    admin = await asyncpg.connect(admin_dsn)
    try:
        async with reading.connection() as connection:
            assert await connection.fetchval("SELECT 1") == 1
        await admin.execute(END_OTHERS)
        async with asyncio.timeout(30):
            while not connection.is_closed():  # noqa: ASYNC110 -- the end arrives when it does
                await asyncio.sleep(0.01)
        async with reading.connection() as connection:
            assert await connection.fetchval("SELECT 2") == 2

        with pytest.raises(Unavailable):
            await lose_it_while_reading(reading)
        async with reading.connection() as connection:
            assert await connection.fetchval("SELECT 4") == 4
    finally:
        await admin.close()
        await engine.dispose()
