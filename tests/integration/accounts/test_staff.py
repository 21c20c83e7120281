"""What staff change, and the trail it leaves."""

import asyncio
import json
from typing import Any

import asyncpg
import pytest

from libs.common.contracts.accounts import CustomerChanged
from libs.common.ids import new_id
from services.accounts.use_cases.create_admin import CreateAdmin
from services.accounts.use_cases.register_first_admin import RegisterFirstAdmin
from tests.integration.accounts.conftest import INTERNAL_TOKEN, PASSWORD, World
from tests.support.api_world import SEALER, admin_connection


async def _trail(world: World, user_id: str, action: str) -> list[dict[str, Any]]:
    """What the trail says of this action on the customer; that he registered stands in it too."""
    query = "SELECT * FROM accounts.audit_log WHERE resource_id = $1 AND action = $2"
    return await world.rows(query, user_id, action)


async def test_a_profile_is_set_once_audited_once_and_said_once(world: World) -> None:
    user_id, officer, request_id = await world.register(), new_id(), new_id()
    header = world.keys.bearer(officer, "compliance") | {"X-Request-ID": request_id}
    header |= {"X-Forwarded-For": "192.0.2.7", "User-Agent": "a browser\x1d"}
    path = f"/api/v1/admin/users/{user_id}/profile"
    for _ in range(2):
        answer = await world.http.put(path, json={"profile": "business"}, headers=header)
        assert (answer.status_code, answer.json()["profile"]) == (200, "business")
    said = [one for one in world.publisher.said(user_id) if isinstance(one, CustomerChanged)]
    assert [(one.profile, one.version) for one in said] == [("retail", 1), ("business", 2)]
    [entry] = await _trail(world, user_id, "customer.set_profile")
    assert dict(entry) | {"entry_id": "", "at": ""} == {
        "entry_id": "",
        "at": "",
        "actor_id": officer,
        "actor_kind": "person",
        "action": "customer.set_profile",
        "resource_type": "customer",
        "resource_id": user_id,
        "address": "192.0.2.7",
        "user_agent": "a browser",
        "request_id": request_id,
        "outcome": "done",
        "reason": "",
        "facts": '{"after":"business","before":"retail"}',
    }


async def test_an_admin_sets_roles_and_the_trail_says_which(world: World) -> None:
    user_id, admin = await world.register(), new_id()
    path = f"/api/v1/admin/users/{user_id}/roles"
    body = {"roles": ["operator", "customer", "operator"]}
    answer = await world.http.put(path, json=body, headers=world.keys.bearer(admin, "admin"))
    assert (answer.status_code, answer.json()["roles"]) == (200, ["customer", "operator"])
    [entry] = await _trail(world, user_id, "customer.set_roles")
    assert json.loads(entry["facts"]) == {"before": ["customer"], "after": ["customer", "operator"]}


@pytest.mark.parametrize(
    ("roles", "path", "body", "expected"),
    [
        (["customer"], "profile", {"profile": "business"}, (403, "role_required")),
        (["operator", "support"], "profile", {"profile": "business"}, (403, "role_required")),
        (["compliance"], "roles", {"roles": []}, (403, "role_required")),
        (["admin"], "profile", {"profile": "charity"}, (422, "invalid_request")),
        (["admin"], "roles", {"roles": ["root"]}, (422, "unknown_role")),
        (["admin"], "roles", {"roles": "admin"}, (422, "invalid_request")),
        (["admin"], "roles", {"roles": ["x" * 41]}, (422, "invalid_request")),
        (["admin"], "roles", {"roles": ["a\0"]}, (422, "unknown_role")),
    ],
)
async def test_who_may_not_or_asks_for_nonsense_changes_nothing(
    world: World, roles: list[str], path: str, body: dict[str, object], expected: tuple[int, str]
) -> None:
    user_id = await world.register()
    answer = await world.http.put(
        f"/api/v1/admin/users/{user_id}/{path}", json=body, headers=world.keys.bearer(new_id(), *roles)
    )
    assert (answer.status_code, answer.json()["code"]) == expected
    assert not await _trail(world, user_id, f"customer.set_{path}")


async def test_nobody_changes_his_own_roles(world: World) -> None:
    user_id = await world.register()
    answer = await world.http.put(
        f"/api/v1/admin/users/{user_id}/roles",
        json={"roles": ["admin", "operator"]},
        headers=world.keys.bearer(user_id, "admin"),
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "own_roles")


@pytest.mark.parametrize("user_id", ["0195d7a0-0000-7000-8000-000000000000", "nobody", "%20"])
async def test_an_unknown_customer_is_not_found(world: World, user_id: str) -> None:
    header = world.keys.bearer(new_id(), "admin")
    for path, body in (("profile", {"profile": "retail"}), ("roles", {"roles": []})):
        answer = await world.http.put(f"/api/v1/admin/users/{user_id}/{path}", json=body, headers=header)
        assert (answer.status_code, answer.json()["code"]) == (404, "customer_not_found")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE accounts.audit_log SET action = 'nothing'",
        "DELETE FROM accounts.audit_log",
        "TRUNCATE accounts.audit_log",
    ],
)
async def test_not_even_the_owner_rewrites_the_trail(world: World, statement: str) -> None:
    async with admin_connection(world.admin_dsn) as connection:
        with pytest.raises(asyncpg.CheckViolationError) as refusal:
            await connection.execute(statement)
    assert refusal.value.constraint_name == "audit_log_append_only"


async def test_the_first_admin_is_made_once_with_every_role_and_can_log_in(world: World) -> None:
    first = RegisterFirstAdmin(world.uow, CreateAdmin(world.uow, world.passwords, world.clock))
    for _ in range(2):
        await first(email="Root@example.com", password=PASSWORD)
    [row] = await world.rows(
        "SELECT roles FROM accounts.customers WHERE email_hash = $1", SEALER.search_hash("root@example.com")
    )
    assert sorted(row["roles"]) == ["admin", "auditor", "compliance", "customer", "operator", "support"]
    assert (await world.log_in("root@example.com")).status_code == 200


async def test_who_registered_with_the_admins_email_is_not_promoted_by_a_restart(world: World) -> None:
    user_id = await world.register("early@example.com")
    first = RegisterFirstAdmin(world.uow, CreateAdmin(world.uow, world.passwords, world.clock))
    await first(email="early@example.com", password=PASSWORD)
    [row] = await world.rows("SELECT roles FROM accounts.customers WHERE user_id = $1", user_id)
    assert row["roles"] == ["customer"]


async def test_sister_services_ask_with_the_internal_token_only(world: World) -> None:
    owner = await world.register()
    account = (await world.open_account(owner)).json()
    sister = {"X-Internal-Token": INTERNAL_TOKEN}
    answer = await world.http.get(f"/internal/accounts/{account['account_id']}", headers=sister)
    assert answer.json() == {
        "account_id": account["account_id"],
        "owner_id": owner,
        "asset": "USD",
        "status": "opening",
        "account_number": account["account_number"],
        "version": 1,
    }
    customer = await world.http.get(f"/internal/customers/{owner}", headers=sister)
    assert customer.json() == {"user_id": owner, "profile": "retail", "status": "active", "version": 1}
    found = await world.http.post(
        "/internal/accounts/find", json={"account_ids": [account["account_id"], new_id()]}, headers=sister
    )
    assert found.json() == {"accounts": [answer.json()]}
    for path in (f"/internal/accounts/{new_id()}", "/internal/customers/nobody"):
        assert (await world.http.get(path, headers=sister)).status_code == 404
    strangers = [{}, {b"X-Internal-Token": b"guess"}, {b"X-Internal-Token": b"\xc3\xa9"}, {b"X-Internal-Token": b""}]
    for header in strangers:
        refused = await world.http.get(f"/internal/customers/{owner}", headers=header)
        assert (refused.status_code, refused.json()["code"]) == (401, "internal_token_required")


async def test_the_contract_names_every_public_route_its_refusals_and_no_internal_one(world: World) -> None:
    paths = (await world.http.get("/openapi.json")).json()["paths"]
    assert not any(path.startswith("/internal") for path in paths)
    for path, operations in paths.items():
        if path.startswith("/api/"):
            for operation in operations.values():
                assert operation["summary"], path
                assert operation["description"], path
                assert "422" not in operation["responses"], path


async def test_the_last_admin_stays_one_also_when_two_take_the_role_from_each_other_at_once(world: World) -> None:
    async with admin_connection(world.admin_dsn) as connection:
        await connection.execute("UPDATE accounts.customers SET roles = array_remove(roles, 'admin')")
    first, second = await world.register(), await world.register()

    async def set_roles(actor: str, target: str, *roles: str) -> tuple[int, str]:
        path = f"/api/v1/admin/users/{target}/roles"
        answer = await world.http.put(path, json={"roles": list(roles)}, headers=world.keys.bearer(actor, "admin"))
        return answer.status_code, answer.json().get("code", "")

    for target in (first, second):
        assert await set_roles(new_id(), target, "admin", "customer") == (200, "")
    both = await asyncio.gather(set_roles(first, second, "customer"), set_roles(second, first, "customer"))
    assert sorted(both) == [(200, ""), (409, "last_admin")]
    admins = await world.rows("SELECT user_id FROM accounts.customers WHERE 'admin' = ANY (roles)")
    assert len(admins) == 1
    assert await set_roles(new_id(), str(admins[0]["user_id"]), "operator") == (409, "last_admin")
    assert await set_roles(new_id(), str(admins[0]["user_id"]), "admin", "operator") == (200, "")
