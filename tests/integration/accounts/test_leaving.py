"""Correcting one's name, closing, and what admins take out of sight and bring back."""

import asyncio

import httpx2
import pytest

from libs.common.contracts.accounts import AccountChanged, CredentialsRevoked, CustomerChanged
from libs.common.ids import LOWEST_ID, new_id
from services.accounts.views.accounts import AccountView
from tests.integration.accounts.conftest import INTERNAL_TOKEN, World
from tests.support.api_world import admin_connection


async def customer_with_accounts(world: World, *, accounts: int = 2) -> tuple[str, list[str]]:
    user_id = await world.register()
    account_ids = []
    for _ in range(accounts):
        account_id = (await world.open_account(user_id)).json()["account_id"]
        await world.hear_opened(account_id, user_id)
        account_ids.append(account_id)
    return user_id, account_ids


async def close(world: World, user_id: str) -> httpx2.Response:
    return await world.http.delete("/api/v1/me", headers=world.keys.bearer(user_id))


async def admin(world: World, method: str, path: str) -> httpx2.Response:
    return await world.http.request(method, f"/api/v1/admin{path}", headers=world.keys.bearer(new_id(), "admin"))


async def test_a_customer_corrects_his_name_and_neither_log_nor_bus_has_it(world: World) -> None:
    user_id = await world.register()
    answer = await world.http.patch("/api/v1/me", json={"full_name": " Ada King "}, headers=world.keys.bearer(user_id))
    assert (answer.status_code, answer.json()["full_name"]) == (200, "Ada King")
    assert not any(b"King" in item.payload for item in world.publisher.sent)
    [entry] = await world.rows(
        "SELECT facts FROM accounts.audit_log WHERE resource_id = $1 AND action = 'customer.rename'", user_id
    )
    assert "King" not in entry["facts"]


@pytest.mark.parametrize("body", [{}, {"full_name": ""}, {"full_name": "A" * 201}, {"email": "new@example.com"}])
async def test_nothing_else_is_corrected(world: World, body: dict[str, str]) -> None:
    user_id = await world.register()
    answer = await world.http.patch("/api/v1/me", json=body, headers=world.keys.bearer(user_id))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_closing_ends_accounts_log_ins_and_the_relationship(world: World) -> None:
    email = f"{new_id()}@example.com"
    user_id = await world.register(email)
    account_id = (await world.open_account(user_id)).json()["account_id"]
    await world.hear_opened(account_id, user_id)
    tokens = (await world.log_in(email)).json()
    assert (await close(world, user_id)).status_code == 204
    assert world.books.closed == [account_id]
    assert (await world.log_in(email)).json()["code"] == "invalid_credentials"
    refreshed = await world.http.post("/api/v1/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert refreshed.status_code == 401
    assert (await world.open_account(user_id)).json()["code"] == "customer_closed"
    [*_, account] = [m for m in world.publisher.said(account_id) if isinstance(m, AccountChanged)]
    assert (account.status, account.version) == ("closed", 3)
    said = world.publisher.said(user_id)
    assert [(m.status, m.version) for m in said if isinstance(m, CustomerChanged)][-1] == ("closed", 2)
    assert any(isinstance(m, CredentialsRevoked) and not m.session_id for m in said)
    assert len(await world.mails_to(email)) == 2


async def test_closing_twice_says_and_mails_nothing_new(world: World) -> None:
    user_id, _ = await customer_with_accounts(world)
    await close(world, user_id)
    said = world.publisher.said(user_id)
    assert (await close(world, user_id)).status_code == 204
    assert world.publisher.said(user_id) == said


async def test_closing_and_opening_at_once_leave_no_open_account_behind(world: World) -> None:
    user_id, _ = await customer_with_accounts(world, accounts=1)
    closed, opened = await asyncio.gather(close(world, user_id), world.open_account(user_id))
    [row] = await world.rows("SELECT status FROM accounts.customers WHERE user_id = $1", user_id)
    still_open = await world.rows("SELECT 1 FROM accounts.accounts WHERE owner_id = $1 AND status <> 'closed'", user_id)
    if row["status"] == "closed":
        assert (closed.status_code, opened.status_code, len(still_open)) == (204, 403, 0)
    else:
        assert (closed.status_code, closed.json()["code"]) == (409, "account_opening")


async def test_nobody_closes_while_the_ledger_knows_of_money(world: World) -> None:
    user_id, [first, _] = await customer_with_accounts(world)
    world.books.unsettled = first
    answer = await close(world, user_id)
    assert (answer.status_code, answer.json()["code"]) == (409, "customer_has_money")
    assert answer.json()["account_id"] == first
    assert world.books.closed == []


@pytest.mark.parametrize(
    ("refusal", "code"),
    [("account_not_empty", "customer_has_money"), ("account_frozen", "customer_has_restrictions")],
)
async def test_nobody_closes_while_the_ledger_refuses_one_account(world: World, refusal: str, code: str) -> None:
    user_id, [_, second] = await customer_with_accounts(world)
    world.books.refusals[second] = refusal
    assert (await close(world, user_id)).json()["code"] == code
    [row] = await world.rows("SELECT status FROM accounts.customers WHERE user_id = $1", user_id)
    assert row["status"] == "active"


@pytest.mark.parametrize("trouble", ["away", "late"])
async def test_nobody_closes_while_nobody_knows_about_his_money(world: World, trouble: str) -> None:
    user_id, _ = await customer_with_accounts(world)
    setattr(world.books, trouble, True)
    answer = await close(world, user_id)
    assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")
    [row] = await world.rows("SELECT status FROM accounts.customers WHERE user_id = $1", user_id)
    assert row["status"] == "active"


async def test_nobody_closes_while_an_account_is_being_opened(world: World) -> None:
    user_id = await world.register()
    await world.open_account(user_id)
    assert (await close(world, user_id)).json()["code"] == "account_opening"


async def test_who_was_deleted_is_found_nowhere_until_an_admin_restores_him(world: World) -> None:
    user_id, _ = await customer_with_accounts(world)
    assert (await admin(world, "DELETE", f"/users/{user_id}")).json()["code"] == "customer_not_closed"
    await close(world, user_id)
    assert (await admin(world, "DELETE", f"/users/{user_id}")).status_code == 204
    assert (await admin(world, "DELETE", f"/users/{user_id}")).json()["code"] == "customer_not_found"
    assert (await world.http.get("/api/v1/me", headers=world.keys.bearer(user_id))).status_code == 404
    restored = await admin(world, "POST", f"/users/{user_id}/restore")
    assert (restored.status_code, restored.json()["status"]) == (200, "active")
    assert (await admin(world, "POST", f"/users/{user_id}/restore")).status_code == 200
    said = [m.version for m in world.publisher.said(user_id) if isinstance(m, CustomerChanged)]
    assert said == [1, 2, 3]


async def test_nobody_is_restored_whose_mailbox_has_registered_anew(world: World) -> None:
    email = f"{new_id()}@example.com"
    user_id = await world.register(email)
    await close(world, user_id)
    await admin(world, "DELETE", f"/users/{user_id}")
    await world.register(email)
    answer = await admin(world, "POST", f"/users/{user_id}/restore")
    assert (answer.status_code, answer.json()["code"]) == (409, "email_taken")


async def test_a_deleted_account_is_in_no_list_until_an_admin_restores_it(world: World) -> None:
    user_id, [first, second] = await customer_with_accounts(world)
    assert (await admin(world, "DELETE", f"/accounts/{first}")).json()["code"] == "account_not_closed"
    await close(world, user_id)
    assert (await admin(world, "DELETE", f"/accounts/{first}")).status_code == 204
    listed = await world.http.get("/api/v1/accounts", headers=world.keys.bearer(user_id))
    assert [one["account_id"] for one in listed.json()["accounts"]] == [second]
    assert (await admin(world, "POST", f"/accounts/{first}/restore")).status_code == 204
    listed = await world.http.get("/api/v1/accounts", headers=world.keys.bearer(user_id))
    assert len(listed.json()["accounts"]) == 2


async def test_the_gateway_is_told_of_an_owner_s_deleted_accounts_and_of_nobody_elses(world: World) -> None:
    user_id, accounts = await customer_with_accounts(world)
    other, [foreign, _] = await customer_with_accounts(world)
    await world.http.patch(
        f"/api/v1/accounts/{accounts[0]}", json={"name": "rainy days"}, headers=world.keys.bearer(user_id)
    )
    for one in (user_id, other):
        await close(world, one)
    for account_id in (*accounts, foreign):
        assert (await admin(world, "DELETE", f"/accounts/{account_id}")).status_code == 204
    path, sister = f"/internal/customers/{user_id}/deleted-accounts", {"X-Internal-Token": INTERNAL_TOKEN}
    told = await world.http.get(path, params={"after": LOWEST_ID}, headers=sister)
    first, second = told.json()["accounts"]
    assert [first["account_id"], second["account_id"]] == accounts
    assert (first["name"], first["status"], first["deleted_at"][:4]) == (
        "rainy days",
        "closed",
        str(world.clock().year),
    )
    rest = await world.http.get(path, params={"after": accounts[0]}, headers=sister)
    assert rest.json() == {"accounts": [second]}
    assert len(await AccountView(world.uow).deleted_of(user_id, LOWEST_ID, 1)) == 1
    assert (await admin(world, "POST", f"/accounts/{accounts[1]}/restore")).status_code == 204
    assert (await world.http.get(path, params={"after": LOWEST_ID}, headers=sister)).json() == {"accounts": [first]}
    assert (await world.http.get(path, params={"after": "0"}, headers=sister)).status_code == 422
    assert (await world.http.get(path, params={"after": LOWEST_ID})).status_code == 401


@pytest.mark.parametrize("path", ["/users/{}", "/users/{}/restore", "/accounts/{}", "/accounts/{}/restore"])
@pytest.mark.parametrize("named", ["nobody", "01890000-0000-7000-8000-000000000000"])
async def test_what_does_not_exist_is_neither_deleted_nor_restored(world: World, path: str, named: str) -> None:
    method = "POST" if path.endswith("restore") else "DELETE"
    assert (await admin(world, method, path.format(named))).status_code == 404


async def test_nobody_deletes_himself(world: World) -> None:
    headers = world.keys.bearer(user_id := await world.register(), "admin")
    answer = await world.http.delete(f"/api/v1/admin/users/{user_id}", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "own_deletion")


async def test_whoever_leaves_takes_his_keys_and_those_he_made_for_machines_along(world: World) -> None:
    leaver, header = await world.register(), world.keys.bearer(new_id(), "admin")
    made = {"name": "till", "roles": ["customer"]}
    machine = (await world.http.post("/api/v1/admin/service-accounts", json=made, headers=header)).json()["user_id"]
    body = {"name": "key", "scopes": ["accounts:read"]}
    paths = ("/api/v1/api-keys", f"/api/v1/admin/service-accounts/{machine}/keys")
    own, shown = [
        (await world.http.post(path, json=body, headers=world.keys.bearer(leaver, "admin"))).json() for path in paths
    ]
    colleague = (await world.http.post(paths[1], json=body, headers=header)).json()
    assert (await close(world, leaver)).status_code == 204
    rows = await world.rows("SELECT key_id::text, revoked_at FROM accounts.api_keys")
    revoked = {row["key_id"]: row["revoked_at"] is not None for row in rows}
    assert [revoked[one["key_id"]] for one in (own, shown, colleague)] == [True, True, False]
    said = [*world.publisher.said(leaver), *world.publisher.said(machine)]
    told = {(one.user_id, one.key_id) for one in said if isinstance(one, CredentialsRevoked) and one.key_id}
    assert told == {(leaver, own["key_id"]), (machine, shown["key_id"])}
    await admin(world, "POST", f"/users/{leaver}/restore")
    [row] = await world.rows("SELECT revoked_at FROM accounts.api_keys WHERE key_id = $1", own["key_id"])
    assert row["revoked_at"] is not None


async def test_the_last_admin_does_not_leave_also_when_two_leave_at_once(world: World) -> None:
    async with admin_connection(world.admin_dsn) as connection:
        await connection.execute("UPDATE accounts.customers SET roles = array_remove(roles, 'admin')")
    both = [await world.register(), await world.register()]
    for user_id in both:
        answer = await world.http.put(
            f"/api/v1/admin/users/{user_id}/roles",
            json={"roles": ["admin", "customer"]},
            headers=world.keys.bearer(new_id(), "admin"),
        )
        assert answer.status_code == 200
    answers = await asyncio.gather(*(close(world, user_id) for user_id in both))
    assert sorted(answer.status_code for answer in answers) == [204, 409]
    [refused] = [answer for answer in answers if answer.status_code == 409]
    assert refused.json()["code"] == "last_admin"
    assert (
        len(await world.rows("SELECT 1 FROM accounts.customers WHERE 'admin' = ANY (roles) AND status = 'active'")) == 1
    )
