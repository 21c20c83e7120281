"""Reads and changes are counted, too: by principal, by address for nobody; and every answer says what is left."""

from pathlib import Path
from typing import Any
from unittest.mock import ANY

import httpx2
import pytest

from libs.common.ids import new_id
from services.gateway.settings import Bounds
from tests.integration.gateway.counter import Counter, open_counter

BOUNDS = Bounds()


def left(answer: httpx2.Response) -> dict[str, dict[str, int]]:
    """What `RateLimit` says: name → r (requests left), t (seconds until there are more)."""
    items = (item.strip().split(";") for item in answer.headers["ratelimit"].split(","))
    return {name.strip('"'): {key: int(value) for key, value in (p.split("=") for p in more)} for name, *more in items}


def assert_refused(answer: httpx2.Response, limit: str, amount: int) -> None:
    assert (answer.status_code, answer.json()["limit"]) == (429, limit)
    assert answer.headers["ratelimit-policy"] == f'"{limit}";q={amount};w=60'
    assert left(answer)[limit] == {"r": 0, "t": int(answer.headers["retry-after"])}


async def test_a_hundred_reads_a_minute_for_each_principal_wherever_he_is(limited: Counter) -> None:
    one, other = limited.keys.bearer(new_id()), limited.keys.bearer(new_id())
    async with limited.http("192.0.2.7") as http, limited.http("192.0.2.8") as elsewhere:
        for number in range(BOUNDS.reads):
            answer = await (http, elsewhere)[number % 2].get("/api/v1/me", headers=one)
            assert (answer.status_code, left(answer)["reads"]["r"]) == (404, BOUNDS.reads - number - 1)
        assert_refused(await http.get("/api/v1/transfers", headers=one), "reads", BOUNDS.reads)
        assert (await http.get("/api/v1/me", headers=other)).status_code == 404
        assert (await http.get("/api/v1/me")).status_code == 404


@pytest.mark.parametrize("token", [{}, {"Authorization": "Bearer nonsense"}])
async def test_nobody_reads_a_hundred_times_a_minute_from_one_address(limited: Counter, token: dict[str, str]) -> None:
    async with limited.http("2001:db8:1:2::1") as http, limited.http("2001:db8:1:2:ffff::2") as same:
        for number in range(BOUNDS.reads):
            assert (await (http, same)[number % 2].get("/api/v1/me", headers=token)).status_code == 404
        assert_refused(await same.get("/api/v1/me", headers=token), "reads", BOUNDS.reads)
    async with limited.http("2001:db8:1:3::1") as neighbour:
        assert (await neighbour.get("/api/v1/me", headers=token)).status_code == 404


async def test_opening_accounts_and_other_changes_have_limits_of_their_own(limited: Counter) -> None:
    who = limited.keys.bearer(new_id())
    async with limited.http() as http:
        for _ in range(BOUNDS.openings):
            assert (await http.post("/api/v1/accounts", json={}, headers=who)).status_code == 404
        assert_refused(await http.post("/api/v1/accounts", json={}, headers=who), "openings", BOUNDS.openings)
        for _ in range(BOUNDS.changes):
            assert (await http.post("/api/v1/kyc/application", json={}, headers=who)).status_code == 404
        assert_refused(await http.post("/api/v1/kyc/documents", json={}, headers=who), "changes", BOUNDS.changes)
        assert (await http.get("/api/v1/me", headers=who)).status_code == 404


async def test_money_requests_say_what_is_left_whatever_becomes_of_them(limited: Counter) -> None:
    person = limited.knows_customer()
    headers = {**limited.keys.bearer(person.owner_id), "Prefer": "wait=0"}

    async with limited.http("192.0.2.7") as http:

        async def pay(key: str, **changes: Any) -> httpx2.Response:
            body = limited.body(person, **changes)
            return await http.post("/api/v1/transfers", json=body, headers={**headers, "Idempotency-Key": key})

        first = await pay("first")
        assert first.headers["ratelimit-policy"] == '"transfers";q=20;w=60, "money-by-address";q=10;w=60'
        assert {name: state["r"] for name, state in left(first).items()} == {"transfers": 19, "money-by-address": 9}
        refused = await pay("second", source_account_id=new_id())
        assert (refused.status_code, left(refused)["transfers"]["r"]) == (403, 18)
        replay = await pay("first")
        assert (replay.headers["idempotency-replayed"], "ratelimit" in replay.headers) == ("true", False)
        dry = await http.post("/api/v1/transfers?dry_run=true", json=limited.body(person), headers=headers)
        assert left(dry)["transfers"]["r"] == 17
        capture = await http.post(
            f"/api/v1/transfers/{new_id()}/capture", json={}, headers={**headers, "Idempotency-Key": "c"}
        )
        assert (capture.status_code, left(capture)) == (404, {"changes": {"r": BOUNDS.changes - 1, "t": ANY}})


async def test_commands_that_are_refused_count_as_changes(gateway_dsn: str, tmp_path: Path) -> None:
    async with (
        open_counter(gateway_dsn, tmp_path, rate_limits=True, bounds=Bounds(changes=2)) as counter,
        counter.http() as http,
    ):
        person = counter.knows_customer()

        async def ask(method: str, path: str, body: Any) -> httpx2.Response:
            headers = {**counter.keys.bearer(person.owner_id), "Idempotency-Key": new_id(), "Prefer": "wait=0"}
            return await http.request(method, f"/api/v1/{path}", json=body, headers=headers)

        for remaining in (1, 0):
            refused = await ask("PUT", f"admin/accounts/{new_id()}/status", {"status": "frozen", "reason": "r"})
            assert (refused.status_code, refused.json()["code"]) == (403, "role_required")
            assert left(refused)["changes"]["r"] == remaining
        assert_refused(await ask("POST", "admin/fee-schedules", {}), "changes", 2)
        assert_refused(await ask("POST", f"transfers/{new_id()}/capture", {}), "changes", 2)
        assert (await ask("POST", "transfers", counter.body(person))).status_code == 202


async def test_a_bound_is_a_setting(gateway_dsn: str, tmp_path: Path) -> None:
    bounds = Bounds(reads=2)
    async with (
        open_counter(gateway_dsn, tmp_path, rate_limits=True, bounds=bounds) as counter,
        counter.http() as http,
    ):
        assert [(await http.get("/api/v1/me")).status_code for _ in range(3)] == [404, 404, 429]


async def test_without_limits_nothing_is_said_of_them(counter: Counter) -> None:
    async with counter.http() as http:
        answers = [await http.get("/api/v1/me") for _ in range(BOUNDS.reads + 1)]
    assert {answer.status_code for answer in answers} == {404}
    assert "ratelimit" not in answers[0].headers
