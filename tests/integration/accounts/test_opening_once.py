"""One key opens one account, and every copy of the request gets the same answer."""

import asyncio
from typing import Any

import asyncpg
import httpx2
import pytest

from libs.common.ids import new_id
from tests.integration.accounts.conftest import World
from tests.support.api_world import admin_connection

USD = {"asset": "USD"}


async def ask(world: World, user_id: str, key: str, body: object = None) -> httpx2.Response:
    headers = {**world.keys.bearer(user_id), "Idempotency-Key": key}
    return await world.http.post("/api/v1/accounts", json=USD if body is None else body, headers=headers)


async def accounts_of(world: World, owner: str) -> int:
    [row] = await world.rows("SELECT count(*) AS n FROM accounts.accounts WHERE owner_id = $1", owner)
    return int(row["n"])


async def asked_for(world: World, owner: str) -> str:
    """Return his account's id as soon as the first copy has asked the ledger for it."""
    for _ in range(1000):
        rows = await world.rows("SELECT account_id::text FROM accounts.accounts WHERE owner_id = $1", owner)
        if rows:
            return str(rows[0]["account_id"])
        await asyncio.sleep(0.01)
    raise AssertionError("nobody asked for an account")


async def test_sixty_four_copies_at_once_open_one_account_and_are_answered_alike(world: World) -> None:
    owner, key = await world.register(), new_id()
    answers = await asyncio.gather(*(ask(world, owner, key) for _ in range(64)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert (
        sorted(answer.headers.get("idempotency-replayed", "false") for answer in answers) == ["false"] + ["true"] * 63
    )
    assert await accounts_of(world, owner) == 1
    assert len(world.publisher.said(answers[0].json()["account_id"])) == 1


@pytest.mark.parametrize("settings_changes", [{"opening_patience_seconds": 30.0}])
async def test_a_copy_waits_for_the_same_account_and_gets_what_the_first_got(world: World) -> None:
    owner, key = await world.register(), new_id()
    body = {**USD, "name": "Rent", "metadata": {"flat": "4b"}}
    asking = [asyncio.create_task(ask(world, owner, key, body)) for _ in range(3)]
    account_id = await asked_for(world, owner)
    await world.hear_opened(account_id, owner)
    answers = await asyncio.gather(*asking)
    renamed = await world.http.patch(
        f"/api/v1/accounts/{account_id}", json={"name": "Other"}, headers=world.keys.bearer(owner)
    )
    assert renamed.status_code == 200
    answers.append(await ask(world, owner, key, dict(reversed(body.items()))))
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
    assert (answers[0].json()["status"], answers[0].json()["name"]) == ("active", "Rent")


async def test_a_refusal_is_frozen_with_its_very_words(world: World) -> None:
    owner, key = await world.register(), new_id()
    await world.rows("UPDATE accounts.customers SET status = 'closed' WHERE user_id = $1", owner)
    first = await ask(world, owner, key)
    await world.rows("UPDATE accounts.customers SET status = 'active' WHERE user_id = $1", owner)
    second = await ask(world, owner, key)
    assert (first.status_code, first.json()["code"]) == (403, "customer_closed")
    assert (second.status_code, second.content) == (403, first.content)
    assert second.headers["content-type"] == first.headers["content-type"] == "application/problem+json"
    assert ("idempotency-replayed" in first.headers, second.headers["idempotency-replayed"]) == (False, "true")
    assert await accounts_of(world, owner) == 0
    assert (await ask(world, owner, new_id())).status_code == 202


async def test_a_key_belongs_to_a_body_and_to_its_owner(world: World) -> None:
    owner, other, key = await world.register(), await world.register(), new_id()
    first, theirs = await ask(world, owner, key), await ask(world, other, key)
    assert first.json()["account_id"] != theirs.json()["account_id"]
    for body in ({"asset": "EUR"}, {**USD, "name": "x"}):
        reused = await ask(world, owner, key, body)
        assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")
    assert (await ask(world, owner, key)).content == first.content
    assert await accounts_of(world, owner) == 1


@pytest.mark.parametrize(("body", "status"), [({"asset": "usd"}, 422), ({"asset": "USD", "owner": 1}, 422)])
async def test_what_nobody_looked_at_further_does_not_use_up_the_key(world: World, body: Any, status: int) -> None:
    owner, key = await world.register(), new_id()
    assert (await ask(world, owner, key, body)).status_code == status
    assert (await ask(world, owner, key)).status_code == 202


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "ключ"])
async def test_a_key_that_is_none_is_refused_and_opens_nothing(world: World, key: str) -> None:
    owner = await world.register()
    bearer = world.keys.bearer(owner)["Authorization"]
    headers = [(b"Idempotency-Key", key.encode()), (b"Authorization", bearer.encode())]
    refused = await world.http.post("/api/v1/accounts", json=USD, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (400, "idempotency_key_invalid")
    assert await accounts_of(world, owner) == 0


async def test_without_a_key_every_request_stands_for_itself(world: World) -> None:
    owner = await world.register()
    for _ in range(2):
        answer = await world.open_account(owner)
        assert "idempotency-replayed" not in answer.headers
    assert await accounts_of(world, owner) == 2


async def test_a_copy_that_cannot_wait_longer_is_told_to_come_again(world: World) -> None:
    owner, key = await world.register(), new_id()
    async with admin_connection(world.admin_dsn) as connection, connection.transaction():
        # A first copy that is at work and does not get on.
        locked = f"accounts\n{owner}\nPOST /api/v1/accounts\n{key}"
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", locked)
        second = await ask(world, owner, key)
    assert (second.status_code, second.json()["code"]) == (409, "request_in_progress")
    assert second.headers["retry-after"] == "1"
    assert (await ask(world, owner, key)).status_code == 202, "nothing final was said of it"
    assert await accounts_of(world, owner) == 1


async def test_an_opening_is_audited_once_with_the_account_it_made(world: World) -> None:
    owner, key = await world.register(), new_id()
    answers = [await ask(world, owner, key) for _ in range(2)]
    account_id = answers[0].json()["account_id"]
    entries = "SELECT * FROM accounts.audit_log WHERE action = 'account.open' AND actor_id = $1"
    [entry] = await world.rows(entries, owner)
    assert (entry["resource_type"], entry["resource_id"], entry["outcome"]) == ("account", account_id, "done")
    assert (entry["request_id"], entry["facts"]) == (answers[0].headers["x-request-id"], '{"asset":"USD"}')


async def test_kept_answers_stay_as_they_are(world: World) -> None:
    owner, key = await world.register(), new_id()
    await ask(world, owner, key)
    async with admin_connection(world.admin_dsn) as connection:
        with pytest.raises(asyncpg.CheckViolationError) as refusal:
            await connection.execute("UPDATE accounts.kept_answers SET status = 200 WHERE principal_id = $1", owner)
    assert refusal.value.constraint_name == "kept_answers_frozen"
