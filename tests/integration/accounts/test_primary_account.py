"""Exactly one primary account, whatever happens at once."""

import asyncio

import asyncpg
import httpx2
import pytest

from libs.common.ids import new_id
from tests.integration.accounts.conftest import World
from tests.integration.accounts.test_opening_accounts import let
from tests.support.api_world import admin_connection


async def open_some(world: World, owner: str, count: int) -> list[str]:
    """Open so many accounts, one after the other; the first is primary."""
    return [(await world.open_account(owner)).json()["account_id"] for _ in range(count)]


async def choose(world: World, owner: str, account_id: str, *roles: str) -> httpx2.Response:
    return await world.http.put(f"/api/v1/accounts/{account_id}/primary", headers=world.keys.bearer(owner, *roles))


async def primaries(world: World, owner: str) -> list[str]:
    rows = await world.rows("SELECT account_id::text FROM accounts.accounts WHERE owner_id = $1 AND is_primary", owner)
    return [row["account_id"] for row in rows]


async def test_the_mark_moves_and_choosing_it_again_changes_nothing(world: World) -> None:
    owner = await world.register()
    first, second = await open_some(world, owner, 2)
    for chosen in (second, second, first, second):
        answer = await choose(world, owner, chosen)
        assert (answer.status_code, answer.json()["is_primary"]) == (200, True)
        assert await primaries(world, owner) == [chosen]


async def test_twenty_choices_at_once_leave_exactly_one_primary(world: World) -> None:
    owner = await world.register()
    accounts = await open_some(world, owner, 5)
    answers = await asyncio.gather(*(choose(world, owner, accounts[number % 5]) for number in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(await primaries(world, owner)) == 1


@pytest.mark.parametrize("roles", [("customer",), ("admin", "operator")])
async def test_nobody_but_the_owner_chooses(world: World, roles: tuple[str, ...]) -> None:
    owner, other = await world.register(), await world.register()
    first, second = await open_some(world, owner, 2)
    await open_some(world, other, 1)
    for account_id in (second, new_id(), "x"):
        refused = await choose(world, other, account_id, *roles)
        assert (refused.status_code, refused.json()["code"]) == (404, "account_not_found")
    assert await primaries(world, owner) == [first]


async def test_a_closed_account_cannot_be_chosen(world: World) -> None:
    owner = await world.register()
    first, second = await open_some(world, owner, 2)
    await world.hear_changed(let(second, "closed", 1))
    refused = await choose(world, owner, second)
    assert (refused.status_code, refused.json()["code"]) == (422, "account_closed")
    assert await primaries(world, owner) == [first]


async def test_when_the_primary_is_closed_the_oldest_open_account_follows(world: World) -> None:
    owner = await world.register()
    first, second, third = await open_some(world, owner, 3)
    await world.hear_changed(let(second, "closed", 1), let(first, "closed", 2))
    assert await primaries(world, owner) == [third]
    await world.hear_changed(let(third, "closed", 3))
    assert await primaries(world, owner) == [third], "the last one stays what it was"
    await world.hear_changed(let(second, "active", 4))
    assert await primaries(world, owner) == [third]
    [fourth] = await open_some(world, owner, 1)
    assert await primaries(world, owner) == [fourth], "a new account follows a closed one"


async def test_choices_openings_and_closings_at_once_leave_exactly_one_primary(world: World) -> None:
    owner = await world.register()
    accounts = await open_some(world, owner, 6)
    await asyncio.gather(
        *(choose(world, owner, account_id) for account_id in accounts),
        *(world.hear_changed(let(account_id, "closed", 1)) for account_id in accounts[:3]),
        *(world.open_account(owner) for _ in range(3)),
    )
    [primary] = await primaries(world, owner)
    assert primary not in accounts[:3]


async def test_the_database_lets_the_mark_move_within_a_transaction_and_sees_at_its_end_that_there_is_one(
    world: World,
) -> None:
    owner = await world.register()
    first, second = await open_some(world, owner, 2)
    mark = "UPDATE accounts.accounts SET is_primary = true WHERE account_id = $1"
    unmark = "UPDATE accounts.accounts SET is_primary = false WHERE account_id = $1"
    async with admin_connection(world.admin_dsn) as connection:
        async with connection.transaction():
            await connection.execute(unmark, first)
            await connection.execute(mark, second)
        with pytest.raises(asyncpg.UniqueViolationError) as twice:
            await connection.execute(mark, first)
        with pytest.raises(asyncpg.CheckViolationError) as none:
            await connection.execute(unmark, second)
    assert twice.value.constraint_name == "accounts_one_primary"
    assert none.value.constraint_name == "accounts_have_primary"
    assert await primaries(world, owner) == [second]
