"""Erasing takes two of the staff; the routes refuse one, and so does the database."""

import json
from datetime import timedelta

import asyncpg
import httpx2
import pytest

from libs.common.clock import to_rfc3339
from libs.common.contracts.accounts import CredentialsRevoked, CustomerErased
from libs.common.ids import new_id
from tallystick.stack.service_settings import dsn_of_role
from tests.integration.accounts.conftest import INTERNAL_TOKEN, World
from tests.integration.accounts.test_sealed_data import approve, ask_to_erase, closed
from tests.support.api_world import ROLE_PASSWORD, admin_connection

_STOP = (
    "UPDATE accounts.erasures SET stopped_by = gen_random_uuid(), stopped_at = requested_at, stop_reason = 'mistaken'"
)
LONG_AGO = timedelta(days=1827, seconds=1)


async def erasable(world: World) -> str:
    user_id, _ = await closed(world)
    world.clock.move(LONG_AGO)
    return user_id


async def waiting(world: World, **query: str) -> httpx2.Response:
    headers = world.keys.bearer(new_id(), "auditor")
    return await world.http.get("/api/v1/admin/erasures", params=query, headers=headers)


async def waiting_ids(world: World) -> set[str]:
    """Who waits to be erased, page by page."""
    found, cursor = set(), ""
    while True:
        page = (await waiting(world, limit="1", **({"cursor": cursor} if cursor else {}))).json()
        found |= {one["user_id"] for one in page["erasures"]}
        cursor = page["next"]
        if cursor is None:
            return found


async def test_who_asked_does_not_approve_and_a_colleague_does(world: World) -> None:
    user_id, first, second = await erasable(world), new_id(), new_id()
    assert (await approve(world, user_id, second)).json()["code"] == "erasure_not_requested"
    asked = (await ask_to_erase(world, user_id, first)).json()
    assert (asked["user_id"], asked["requested_by"]) == (user_id, first)
    assert (await ask_to_erase(world, user_id, second)).json() == asked
    refused = await approve(world, user_id, first)
    assert (refused.status_code, refused.json()["code"]) == (403, "own_request")
    [row] = await world.rows("SELECT personal_key FROM accounts.customers WHERE user_id = $1", user_id)
    assert row["personal_key"] is not None
    assert (await approve(world, user_id, second)).status_code == 204
    [done] = await world.rows("SELECT * FROM accounts.erasures WHERE user_id = $1", user_id)
    assert (str(done["requested_by"]), str(done["approved_by"])) == (first, second)
    entries = await world.rows(
        "SELECT action, actor_id FROM accounts.audit_log WHERE resource_id = $1 AND action LIKE '%erase%'"
        " OR resource_id = $1 AND action LIKE '%erasure' ORDER BY entry_id",
        user_id,
    )
    assert [tuple(entry.values()) for entry in entries] == [
        ("customer.ask_erasure", first),
        ("customer.erase", second),
    ]


async def test_what_waits_is_listed_until_it_is_done_or_its_time_is_over(world: World) -> None:
    done, expired, waits = await erasable(world), await erasable(world), await erasable(world)
    await ask_to_erase(world, done, new_id())
    await ask_to_erase(world, expired, new_id())
    world.clock.move(timedelta(days=7))
    asker = new_id()
    await ask_to_erase(world, waits, asker)
    await ask_to_erase(world, done, asker)
    assert {done, waits} <= await waiting_ids(world)
    assert (await approve(world, expired, new_id())).json()["code"] == "erasure_not_requested"
    assert (await approve(world, done, new_id())).status_code == 204
    listed = await waiting_ids(world)
    assert waits in listed
    assert not listed & {done, expired}


async def stop(world: World, user_id: str, staff_id: str, reason: str = "mistaken") -> httpx2.Response:
    headers = world.keys.bearer(staff_id, "compliance")
    return await world.http.delete(f"/api/v1/admin/users/{user_id}/erasure", params={"reason": reason}, headers=headers)


@pytest.mark.parametrize("by_who_asked", [True, False])
async def test_what_was_asked_is_withdrawn_or_refused_and_may_be_asked_anew(
    world: World, *, by_who_asked: bool
) -> None:
    user_id, asker, other = await erasable(world), new_id(), new_id()
    stopper = asker if by_who_asked else other
    assert (await stop(world, user_id, stopper)).json()["code"] == "erasure_not_requested"
    await ask_to_erase(world, user_id, asker)
    assert (await stop(world, user_id, stopper, "boredom")).status_code == 422
    assert (await stop(world, user_id, stopper, "still_needed")).status_code == 204
    assert user_id not in await waiting_ids(world)
    for attempt in (stop, approve):
        assert (await attempt(world, user_id, other)).json()["code"] == "erasure_not_requested"
    [row] = await world.rows("SELECT * FROM accounts.erasures WHERE user_id = $1", user_id)
    assert (str(row["stopped_by"]), row["stop_reason"], row["erased_at"]) == (stopper, "still_needed", None)
    [entry] = await world.rows(
        "SELECT actor_id, facts FROM accounts.audit_log WHERE resource_id = $1 AND action = 'customer.stop_erasure'"
        " AND outcome = 'done'",
        user_id,
    )
    assert (entry["actor_id"], json.loads(entry["facts"])) == (stopper, {"asked_by": asker, "why": "still_needed"})

    world.clock.move(timedelta(seconds=1))
    assert (await ask_to_erase(world, user_id, asker)).status_code == 200
    assert user_id in await waiting_ids(world)
    assert (await approve(world, user_id, other)).status_code == 204
    assert (await stop(world, user_id, other)).json()["code"] == "customer_erased"


async def test_what_is_over_by_itself_is_not_stopped(world: World) -> None:
    user_id = await erasable(world)
    await ask_to_erase(world, user_id, new_id())
    world.clock.move(timedelta(days=7))
    assert (await stop(world, user_id, new_id())).json()["code"] == "erasure_not_requested"


async def test_nobody_erases_himself(world: World) -> None:
    user_id = await erasable(world)
    for attempt in (ask_to_erase, approve, stop):
        assert (await attempt(world, user_id, user_id)).json()["code"] == "own_deletion"


async def test_erasing_is_for_compliance_and_admins(world: World) -> None:
    user_id = await erasable(world)
    for role in ("customer", "support", "operator", "auditor"):
        headers = world.keys.bearer(new_id(), role)
        for method, path in (
            ("PUT", "erasure"),
            ("POST", "erasure/approve"),
            ("DELETE", "erasure?reason=mistaken"),
        ):
            refused = await world.http.request(method, f"/api/v1/admin/users/{user_id}/{path}", headers=headers)
            assert refused.json()["code"] == "role_required"


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE accounts.erasures SET approved_by = requested_by, erased_at = requested_at", "erasures_two_people"),
        ("UPDATE accounts.erasures SET approved_by = user_id, erased_at = requested_at", "erasures_by_others"),
        ("UPDATE accounts.erasures SET erased_at = requested_at", "erasures_whole"),
        ("UPDATE accounts.erasures SET requested_by = gen_random_uuid()", "erasures_fixed"),
        (
            "UPDATE accounts.erasures SET approved_by = gen_random_uuid(), erased_at = expires_at",
            "erasures_in_time",
        ),
        ("UPDATE accounts.erasures SET stopped_by = requested_by, stopped_at = requested_at", "erasures_stop_whole"),
        (_STOP.replace("mistaken", "boredom"), "erasures_stop_reason_known"),
        (_STOP.replace("gen_random_uuid()", "user_id"), "erasures_stopped_by_others"),
        (_STOP.replace("stopped_at = requested_at", "stopped_at = expires_at"), "erasures_stopped_in_time"),
        (f"{_STOP}, approved_by = gen_random_uuid(), erased_at = requested_at", "erasures_end_once"),
        (f"{_STOP}, requested_at = expires_at, expires_at = expires_at + interval '1 s'", "erasures_fixed"),
    ],
)
async def test_the_database_knows_these_rules_too(world: World, statement: str, constraint: str) -> None:
    user_id = await erasable(world)
    await ask_to_erase(world, user_id, new_id())
    async with admin_connection(world.admin_dsn) as connection:
        with pytest.raises(asyncpg.CheckViolationError) as refused:
            await connection.execute(f"{statement} WHERE user_id = $1", user_id)
    assert refused.value.constraint_name == constraint


@pytest.mark.parametrize(
    "statement",
    [
        "approved_by = gen_random_uuid(), erased_at = requested_at",
        "stop_reason = 'still_needed'",
        "stopped_by = NULL, stopped_at = NULL, stop_reason = NULL",
    ],
)
async def test_the_database_leaves_what_was_stopped_as_it_is(world: World, statement: str) -> None:
    user_id = await erasable(world)
    await ask_to_erase(world, user_id, new_id())
    await stop(world, user_id, new_id())
    async with admin_connection(world.admin_dsn) as connection:
        with pytest.raises(asyncpg.CheckViolationError) as refused:
            await connection.execute(f"UPDATE accounts.erasures SET {statement} WHERE user_id = $1", user_id)
        assert refused.value.constraint_name == "erasures_fixed"
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.fetchval(
                "SELECT accounts.erase_customer($1, $2, $3, $3)", user_id, new_id(), world.clock()
            )


async def test_the_service_itself_cannot_write_who_approved(world: World) -> None:
    user_id, asker = await erasable(world), new_id()
    await ask_to_erase(world, user_id, asker)
    service = await asyncpg.connect(dsn_of_role(world.admin_dsn, "tallystick_accounts", ROLE_PASSWORD))
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await service.execute("UPDATE accounts.erasures SET approved_by = gen_random_uuid(), erased_at = now()")
        with pytest.raises(asyncpg.CheckViolationError):
            await service.fetchval("SELECT accounts.erase_customer($1, $2, $3, $3)", user_id, asker, world.clock())
    finally:
        await service.close()


async def test_sisters_learn_page_by_page_who_was_erased(world: World) -> None:
    began = world.clock()
    erased = [await erasable(world) for _ in range(2)]
    for user_id in erased:
        await ask_to_erase(world, user_id, new_id())
        await approve(world, user_id, new_id())
        assert [one for one in world.publisher.said(user_id) if isinstance(one, CustomerErased)]
        world.clock.move(timedelta(seconds=1))

    async def told(since: str, after: str) -> list[dict[str, str]]:
        answer = await world.http.get(
            "/internal/erasures",
            params={"since": since, "after": after},
            headers={"X-Internal-Token": INTERNAL_TOKEN},
        )
        found: list[dict[str, str]] = answer.json()["erasures"]
        return [one for one in found if one["user_id"] in erased]

    first, second = await told(to_rfc3339(began), new_id())
    assert [first["user_id"], second["user_id"]] == erased
    assert await told(first["erased_at"], first["user_id"]) == [second]
    assert await told(second["erased_at"], second["user_id"]) == []


async def test_erasing_ends_keys_that_an_earlier_closing_left_and_forgets_their_names(world: World) -> None:
    user_id = await world.register()
    key = await world.http.post(
        "/api/v1/api-keys",
        json={"name": "ada's own", "scopes": ["accounts:read"]},
        headers=world.keys.bearer(user_id),
    )
    async with admin_connection(world.admin_dsn) as connection:
        await connection.execute("UPDATE accounts.customers SET status = 'closed' WHERE user_id = $1", user_id)
    world.clock.move(LONG_AGO)
    await ask_to_erase(world, user_id, new_id())
    assert (await approve(world, user_id, new_id())).status_code == 204
    [row] = await world.rows("SELECT name, revoked_at FROM accounts.api_keys WHERE user_id = $1", user_id)
    assert row["name"] == "erased"
    assert row["revoked_at"] is not None
    said = [one for one in world.publisher.said(user_id) if isinstance(one, CredentialsRevoked)]
    assert key.json()["key_id"] in {one.key_id for one in said}
