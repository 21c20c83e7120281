"""A database that takes no writes for a while (a failover, a guard against a full disk) is waited for, not given up."""

import asyncio

from tests.integration.accounts.conftest import PASSWORD, World


async def test_who_wants_to_write_is_told_to_try_again_and_can_soon(world: World) -> None:
    body = {"email": "read.only@example.com", "password": PASSWORD, "full_name": "Ada Lovelace"}
    [database] = await world.rows("SELECT quote_ident(current_database()) AS name")
    await world.rows(f"ALTER DATABASE {database['name']} SET default_transaction_read_only = on")
    try:
        await _cut_connections(world)
        async with asyncio.timeout(30):
            while (refused := await world.http.post("/api/v1/users", json=body)).json()["code"] != "database_busy":
                await asyncio.sleep(0.05)
        assert refused.status_code == 503
    finally:
        await _write_again(world, database["name"])
    async with asyncio.timeout(30):
        while (taken := await world.http.post("/api/v1/users", json=body)).status_code == 503:
            await asyncio.sleep(0.05)
    assert taken.status_code == 201, taken.text


async def _cut_connections(world: World) -> None:
    """End the services' connections: what a database is set to counts for new ones."""
    await world.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


async def _write_again(world: World, database: str) -> None:
    await world.rows(f"ALTER DATABASE {database} SET default_transaction_read_only = off")
    await _cut_connections(world)
