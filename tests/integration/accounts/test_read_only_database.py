"""A database that takes no writes for a while (a failover, a guard against a full disk) is waited for, not given up."""

import asyncio

import httpx2

from tests.integration.accounts.conftest import PASSWORD, World
from tests.support.api_world import admin_connection

_CUT = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"""


async def test_who_wants_to_write_is_told_to_try_again_and_can_soon(world: World) -> None:
    await _let_writes(world, is_on=False)
    try:
        refused = await _register_until(world, "database_busy")
        assert refused.status_code == 503
    finally:
        await _let_writes(world, is_on=True)
    assert (await _register_until(world, "")).status_code == 201


async def _let_writes(world: World, *, is_on: bool) -> None:
    async with admin_connection(world.admin_dsn) as connection:
        await connection.execute("SET default_transaction_read_only = off")
        name = await connection.fetchval("SELECT quote_ident(current_database())")
        await connection.execute(
            f"ALTER DATABASE {name} SET default_transaction_read_only = {'off' if is_on else 'on'}"
        )
        await connection.execute(_CUT)  # it counts for new connections


async def _register_until(world: World, code: str) -> httpx2.Response:
    """Register, again as long as the connections that were cut are still in the pool; return the answer wanted."""
    body = {"email": "read.only@example.com", "password": PASSWORD, "full_name": "Ada Lovelace"}
    for _ in range(100):
        answer = await world.http.post("/api/v1/users", json=body)
        if answer.json().get("code", "") == code:
            return answer
        assert answer.status_code == 503, answer.text
        await asyncio.sleep(0.05)
    raise AssertionError(answer.text)
