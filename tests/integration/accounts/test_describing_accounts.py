"""What owners write on their accounts: who may, what fits, and who is told."""

from typing import Any

import asyncpg
import httpx2
import pytest

from libs.common.contracts.audit import AuditRecorded
from libs.common.ids import new_id
from tests.integration.accounts.conftest import World
from tests.support.api_world import admin_connection


async def patch(world: World, account_id: str, user_id: str, body: object, *roles: str) -> httpx2.Response:
    bearer = world.keys.bearer(user_id, *roles)
    return await world.http.patch(f"/api/v1/accounts/{account_id}", json=body, headers=bearer)


async def test_an_account_is_opened_with_its_owners_words_and_shows_them_everywhere(world: World) -> None:
    owner = await world.register()
    bearer, words = world.keys.bearer(owner), {"name": "Holidays", "metadata": {"goal": "Norway"}}
    opened = (await world.http.post("/api/v1/accounts", json={"asset": "USD", **words}, headers=bearer)).json()
    seen = (await world.http.get(f"/api/v1/accounts/{opened['account_id']}", headers=bearer)).json()
    [listed] = (await world.http.get("/api/v1/accounts", headers=bearer)).json()["accounts"]
    for shown in (opened, seen, listed):
        assert {"name": shown["name"], "metadata": shown["metadata"]} == words


async def test_what_a_patch_leaves_out_stays_as_it_is_and_nobody_is_told(world: World) -> None:
    owner = await world.register()
    account_id = (await world.open_account(owner)).json()["account_id"]
    said = len(world.publisher.sent)
    named = (await patch(world, account_id, owner, {"name": "Rent"})).json()
    assert (named["name"], named["metadata"]) == ("Rent", {})
    tagged = (await patch(world, account_id, owner, {"metadata": {"flat": "top floor"}})).json()
    assert (tagged["name"], tagged["metadata"]) == ("Rent", {"flat": "top floor"})
    replaced = (await patch(world, account_id, owner, {"metadata": {"flat": ""}})).json()
    assert (replaced["name"], replaced["metadata"]) == ("Rent", {"flat": ""})
    removed = (await patch(world, account_id, owner, {"name": None, "metadata": {}})).json()
    assert (removed["name"], removed["metadata"]) == (None, {})
    told = world.publisher.sent[said:]
    assert {item.message_type for item in told} == {AuditRecorded.TYPE}
    assert not any(b"Rent" in item.payload or b"top floor" in item.payload for item in told)


@pytest.mark.parametrize("roles", [("customer",), ("support",), ("admin", "compliance", "operator", "auditor")])
async def test_nobody_but_the_owner_writes_on_an_account(world: World, roles: tuple[str, ...]) -> None:
    owner, other = await world.register(), await world.register()
    account_id = (await world.open_account(owner)).json()["account_id"]
    for concerned in (account_id, new_id(), "x"):
        refused = await patch(world, concerned, other, {"name": "mine"}, *roles)
        assert (refused.status_code, refused.json()["code"]) == (404, "account_not_found")
    assert (await patch(world, account_id, owner, {"metadata": {}})).json()["name"] is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "x" * 141},
        {"name": "a\nb"},
        {"name": 7},
        {"metadata": None},
        {"metadata": {"": "x"}},
        {"metadata": {"k" * 41: "x"}},
        {"metadata": {"k": "x" * 201}},
        {"metadata": {"k": 1}},
        {"metadata": {str(number): "" for number in range(21)}},
        {"name": "x", "is_primary": True},
    ],
)
async def test_what_is_written_is_bounded(world: World, body: dict[str, Any]) -> None:
    owner = await world.register()
    account_id = (await world.open_account(owner)).json()["account_id"]
    refused = await patch(world, account_id, owner, body)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")


async def test_the_most_that_may_be_written_fits_the_database_too(world: World) -> None:
    owner = await world.register()
    account_id = (await world.open_account(owner)).json()["account_id"]
    widest = {f"{number:02d}" + "\U0001f7e1" * 38: "\U0001f7e1" * 200 for number in range(20)}
    answer = await patch(world, account_id, owner, {"name": '"' * 140, "metadata": widest})
    assert (answer.status_code, answer.json()["metadata"]) == (200, widest)


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("name = ''", "accounts_name_bounded"),
        ("name = repeat('x', 141)", "accounts_name_bounded"),
        ("metadata = '[]'", "accounts_metadata_bounded"),
        ("metadata = jsonb_build_object('k', repeat('x', 40001))", "accounts_metadata_bounded"),
    ],
)
async def test_the_database_bounds_it_as_well(world: World, change: str, constraint: str) -> None:
    owner = await world.register()
    await world.open_account(owner)
    async with admin_connection(world.admin_dsn) as connection:
        with pytest.raises(asyncpg.CheckViolationError) as refusal:
            await connection.execute(f"UPDATE accounts.accounts SET {change} WHERE owner_id = $1", owner)
    assert refusal.value.constraint_name == constraint
