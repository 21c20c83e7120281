"""Whoever was turned down applies again after a while, which grows, and is told from when on."""

from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest

from libs.common.clock import to_rfc3339
from libs.common.ids import new_id
from tests.integration.kyc.conftest import World
from tests.support.api_world import admin_connection

DAY = timedelta(days=1)


async def reject(world: World, user_id: str, **body: Any) -> dict[str, Any]:
    """Turn somebody down, and return what he is told."""
    header = world.keys.bearer(new_id(), "compliance")
    path = f"/api/v1/admin/kyc/{user_id}/reject"
    answer = await world.http.post(path, json=await world.seen(user_id) | {"reason": "blurred", **body}, headers=header)
    assert answer.status_code == 200
    assert answer.json() == await world.status(user_id)
    told: dict[str, Any] = answer.json()
    return told


async def test_who_was_turned_down_waits_and_is_told_until_when(world: World) -> None:
    user_id = new_id()
    world.clock.stop()
    await world.apply(user_id)
    told = await reject(world, user_id)
    assert [told[name] for name in ("can_retry", "retry_at", "next_action")] == [
        True,
        to_rfc3339(world.clock() + DAY),
        "wait",
    ]
    world.clock.move(DAY - timedelta(seconds=1))
    refused = await world.apply(user_id)
    assert (refused.status_code, refused.json()["code"], refused.headers["Retry-After"]) == (409, "retry_too_soon", "1")
    assert refused.json()["retry_at"] == told["retry_at"]
    assert (await world.status(user_id))["version"] == 2
    world.clock.move(timedelta(seconds=1))
    assert (await world.status(user_id))["next_action"] == "apply"
    applied = await world.apply(user_id)
    assert (applied.status_code, applied.json()["retry_at"], applied.json()["can_retry"]) == (201, None, False)


async def test_each_rejection_of_a_month_waits_longer(world: World) -> None:
    user_id = new_id()
    world.clock.stop()
    waited = []
    for _ in range(4):
        await world.apply(user_id)
        told = await reject(world, user_id)
        wait = datetime.fromisoformat(told["retry_at"]) - world.clock()
        waited.append(wait.days)
        world.clock.move(wait)
    # The last one until the first of the four is thirty days old.
    assert waited == [1, 3, 7, 30 - 11]


async def test_an_approval_has_nothing_to_wait_for_and_who_loses_it_has(world: World) -> None:
    user_id = new_id()
    await world.apply(user_id)
    await world.decide(user_id, "approve")
    assert (await world.status(user_id))["retry_at"] is None
    await reject(world, user_id)
    assert (await world.apply(user_id)).json()["code"] == "retry_too_soon"


async def test_after_a_final_rejection_there_is_nothing_to_wait_for(world: World) -> None:
    user_id = new_id()
    await world.apply(user_id)
    told = await reject(world, user_id, may_retry=False)
    assert [told[name] for name in ("can_retry", "retry_at", "next_action")] == [False, None, "nothing"]
    world.clock.move(100 * DAY)
    assert (await world.apply(user_id)).json()["code"] == "retry_not_allowed"


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        (
            """UPDATE kyc.verifications SET status = 'in_review', version = 3, decided_at = NULL, decided_by = NULL,
                changed_at = retry_at - interval '1 second' WHERE user_id = $1""",
            "verifications_retried_in_time",
        ),
        (
            "UPDATE kyc.verifications SET may_retry = false WHERE user_id = $1",
            "verifications_retry_at_where_allowed",
        ),
    ],
    ids=["too soon", "never"],
)
async def test_the_database_has_him_wait(world: World, statement: str, constraint: str) -> None:
    user_id = new_id()
    await world.apply(user_id)
    await reject(world, user_id)
    async with admin_connection(world.admin_dsn) as connection:
        with pytest.raises(asyncpg.CheckViolationError) as refusal:
            await connection.execute(statement, user_id)
    assert refusal.value.constraint_name == constraint
