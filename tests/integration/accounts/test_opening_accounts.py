"""From a customer's wish to an active account."""

import asyncio
from typing import Literal

import asyncpg
import pytest

from libs.common.contracts.accounts import AccountChanged
from libs.common.contracts.ledger import LedgerAccountChanged
from libs.common.errors import InvariantBroken
from libs.common.ids import new_id
from services.accounts.domain.account_number import is_account_number
from tests.integration.accounts.conftest import World
from tests.support.api_world import admin_connection


async def opened_by_ledger(world: World, owner_id: str) -> None:
    """Stand in for the ledger: open whatever this owner asks for."""
    while True:
        rows = await world.rows(
            "SELECT account_id::text, asset FROM accounts.accounts WHERE owner_id = $1 AND status = 'opening'", owner_id
        )
        for row in rows:
            await world.hear_opened(row["account_id"], owner_id, row["asset"])
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("settings_changes", [{"opening_patience_seconds": 30.0}])
async def test_an_account_is_active_when_the_ledger_answers_in_time(world: World) -> None:
    owner = await world.register()
    ledger = asyncio.create_task(opened_by_ledger(world, owner))
    try:
        answer = await world.open_account(owner)
    finally:
        ledger.cancel()
    assert answer.status_code == 201
    body = answer.json()
    account_id = body.pop("account_id")
    assert is_account_number(body.pop("account_number"))
    assert body == {
        "asset": "USD",
        "status": "active",
        "is_primary": True,
        "name": None,
        "metadata": {},
        "posted_minor": 0,
        "available_minor": 0,
        "pending_out_minor": 0,
        "held_minor": 0,
        "version": 0,
    }
    said = world.publisher.said(account_id)
    assert [(one.status, one.version) for one in said if isinstance(one, AccountChanged)] == [
        ("opening", 1),
        ("active", 2),
    ]


async def test_a_silent_ledger_leaves_the_account_opening_with_a_place_to_look(world: World) -> None:
    owner = await world.register()
    answer = await world.open_account(owner)
    assert (answer.status_code, answer.json()["status"]) == (202, "opening")
    assert answer.headers["location"] == f"/api/v1/accounts/{answer.json()['account_id']}"
    seen = await world.http.get(answer.headers["location"], headers=world.keys.bearer(owner))
    assert seen.json() == answer.json()


async def test_the_consumer_wakes_whoever_waits_in_its_own_process(world: World) -> None:
    owner = await world.register()
    account_id = (await world.open_account(owner)).json()["account_id"]
    with world.openings.expect(account_id) as opened:
        await world.hear_opened(account_id, owner)
        assert opened.is_set()


async def test_hearing_twice_changes_nothing_more(world: World) -> None:
    owner = await world.register()
    account_id = (await world.open_account(owner)).json()["account_id"]
    for _ in range(3):
        await world.hear_opened(account_id, owner)
    assert len(world.publisher.said(account_id)) == 2
    [row] = await world.rows("SELECT status, version FROM accounts.accounts WHERE account_id = $1", account_id)
    assert row == {"status": "active", "version": 2}


async def test_the_ledgers_own_accounts_are_passed_over(world: World) -> None:
    await world.hear_opened(new_id(), new_id())
    assert world.publisher.sent == []


async def test_a_ledger_that_knows_another_owner_stops_the_consumer(world: World) -> None:
    owner = await world.register()
    account_id = (await world.open_account(owner)).json()["account_id"]
    for stranger, asset in ((new_id(), "USD"), (owner, "EUR")):
        with pytest.raises(InvariantBroken):
            await world.hear_opened(account_id, stranger, asset)
    [row] = await world.rows("SELECT status FROM accounts.accounts WHERE account_id = $1", account_id)
    assert row["status"] == "opening"


async def test_of_two_first_accounts_at_once_exactly_one_is_primary(world: World) -> None:
    owner = await world.register()
    await asyncio.gather(*(world.open_account(owner, asset) for asset in ("USD", "EUR", "GBP", "BTC")))
    rows = await world.rows("SELECT is_primary FROM accounts.accounts WHERE owner_id = $1", owner)
    assert sorted(row["is_primary"] for row in rows) == [False, False, False, True]


async def test_a_customer_lists_his_accounts_page_by_page_and_nobody_elses(world: World) -> None:
    owner, stranger = await world.register(), await world.register()
    answers = await asyncio.gather(*(world.open_account(owner) for _ in range(3)), world.open_account(stranger))
    mine = sorted(answer.json()["account_id"] for answer in answers[:3])
    header = world.keys.bearer(owner)
    first = (await world.http.get("/api/v1/accounts?limit=2", headers=header)).json()
    assert first["next_after"] == mine[1]
    rest = (await world.http.get(f"/api/v1/accounts?limit=2&after={mine[1]}", headers=header)).json()
    assert [one["account_id"] for one in first["accounts"] + rest["accounts"]] == mine
    assert rest["next_after"] is None
    assert set(first["accounts"][0]) == {
        "account_id", "account_number", "asset", "status", "is_primary", "name", "metadata"
    }  # fmt: skip


@pytest.mark.parametrize("query", ["after=1", "after=%00", "limit=0", "limit=101", "limit=x"])
async def test_a_bad_page_is_refused(world: World, query: str) -> None:
    answer = await world.http.get(f"/api/v1/accounts?{query}", headers=world.keys.bearer(new_id()))
    assert answer.status_code == 422


async def test_a_stranger_learns_nothing_and_staff_may_look(world: World) -> None:
    owner, stranger = await world.register(), await world.register()
    account_id = (await world.open_account(owner)).json()["account_id"]
    path = f"/api/v1/accounts/{account_id}"
    hidden = await world.http.get(path, headers=world.keys.bearer(stranger))
    absent = await world.http.get(f"/api/v1/accounts/{new_id()}", headers=world.keys.bearer(stranger))
    assert hidden.status_code == absent.status_code == 404
    assert (hidden.json()["code"], hidden.json()["detail"]) == (absent.json()["code"], absent.json()["detail"])
    assert (await world.http.get(path, headers=world.keys.bearer(stranger, "auditor"))).status_code == 200
    odd = await world.http.get("/api/v1/accounts/%00", headers=world.keys.bearer(owner))
    assert odd.status_code == 404


@pytest.mark.parametrize(
    ("asset", "code"), [("XXX", "unknown_asset"), ("usd", "invalid_request"), (7, "invalid_request")]
)
async def test_an_unknown_asset_opens_nothing(world: World, asset: str, code: str) -> None:
    owner = await world.register()
    answer = await world.open_account(owner, asset)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert not await world.rows("SELECT 1 FROM accounts.accounts WHERE owner_id = $1", owner)


@pytest.mark.parametrize("settings_changes", [{"accounts_per_asset_max": 2}])
async def test_a_customer_has_so_many_open_accounts_of_an_asset_and_no_more(world: World) -> None:
    owner = await world.register()
    answers = await asyncio.gather(*(world.open_account(owner) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [202, 202, 422, 422, 422]
    refused = next(answer.json() for answer in answers if answer.status_code == 422)
    assert (refused["code"], refused["limit_count"]) == ("account_limit_reached", 2)
    assert (await world.open_account(owner, "EUR")).status_code == 202, "each asset is counted for itself"
    [closed] = await world.rows(
        "SELECT account_id::text FROM accounts.accounts WHERE is_primary AND owner_id = $1", owner
    )
    await world.hear_changed(let(closed["account_id"], "closed", 3))
    assert (await world.open_account(owner)).status_code == 202, "a closed one makes room"


async def test_only_customers_in_good_standing_open_accounts(world: World) -> None:
    owner = await world.register()
    await world.rows("UPDATE accounts.customers SET status = 'closed' WHERE user_id = $1", owner)
    assert (await world.open_account(owner)).json()["code"] == "customer_closed"
    assert (await world.open_account(new_id())).json()["code"] == "customer_not_found"
    staff = await world.http.post(
        "/api/v1/accounts", json={"asset": "USD"}, headers=world.keys.bearer(owner, "auditor")
    )
    assert (staff.status_code, staff.json()["code"]) == (403, "role_required")
    nobody = await world.http.post("/api/v1/accounts", json={"asset": "USD"})
    assert (nobody.status_code, nobody.json()["code"]) == (401, "token_missing")


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE accounts.accounts SET is_primary = false WHERE owner_id = $1", "accounts_have_primary"),
        ("UPDATE accounts.accounts SET is_primary = true WHERE owner_id = $1", "accounts_one_primary"),
        ("DELETE FROM accounts.accounts WHERE owner_id = $1 AND is_primary", "accounts_have_primary"),
        ("UPDATE accounts.accounts SET asset = 'EUR' WHERE owner_id = $1", "accounts_identity_fixed"),
        ("UPDATE accounts.accounts SET status = 'active' WHERE owner_id = $1", "accounts_active_was_opened"),
        ("UPDATE accounts.accounts SET status = 'closed' WHERE owner_id = $1", "accounts_closed_not_primary"),
    ],
)
async def test_the_database_itself_forbids_it(world: World, statement: str, constraint: str) -> None:
    owner = await world.register()
    await asyncio.gather(world.open_account(owner), world.open_account(owner))
    async with admin_connection(world.admin_dsn) as connection:
        with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refusal:
            await connection.execute(statement, owner)
    assert refusal.value.constraint_name == constraint


def let(
    account_id: str, status: Literal["active", "frozen", "suspended", "closed"], index: int
) -> LedgerAccountChanged:
    return LedgerAccountChanged(
        account_id=account_id,
        status=status,
        minimum_minor=0,
        maximum_minor=2**53 - 1,
        shard=0,
        journal_index=index,
        occurred_at="2026-03-01T09:30:00.000000Z",
    )


async def test_an_owner_sees_what_staff_let_his_account_do_and_the_newest_record_wins(world: World) -> None:
    owner = await world.register()
    account_id = (await world.open_account(owner)).json()["account_id"]

    async def shown() -> set[str]:
        bearer = world.keys.bearer(owner)
        listed = (await world.http.get("/api/v1/accounts", headers=bearer)).json()["accounts"][0]["status"]
        return {listed, (await world.http.get(f"/api/v1/accounts/{account_id}", headers=bearer)).json()["status"]}

    assert await shown() == {"opening"}
    await world.hear_opened(account_id, owner)
    assert await shown() == {"active"}
    await world.hear_changed(let(account_id, "suspended", 9), let(account_id, "frozen", 7), let(new_id(), "closed", 8))
    assert await shown() == {"suspended"}
    await world.hear_changed(let(account_id, "active", 8))
    assert await shown() == {"suspended"}
    await world.hear_changed(let(account_id, "active", 10))
    assert await shown() == {"active"}
