"""Staff set limits and rates over HTTP: what holds then, for whom, from when, and who is told of it."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest

from libs.common.db.engine import make_engine
from libs.common.db.reading import Reading
from libs.common.ids import new_id
from services.fraud.app import limit_routers
from services.fraud.use_cases.read_policy import PolicyInForce
from tests.integration.fraud.office import Office, transfer
from tests.support.api_world import RecordingPublisher, TokenKeys, admin_connection, http_client, unit_of_work

ADMIN = "/api/v1/admin/fraud"
RETAIL: Mapping[str, int] = {
    "min_minor": 1,
    "max_minor": 1_000_000_00,
    "day_sum_minor": 5_000_000_00,
    "hour_count": 50,
    "day_count": 200,
}


@dataclass
class Desk:
    """Fraud's routes about limits, beside an office that decides."""

    http: httpx2.AsyncClient
    keys: TokenKeys
    office: Office

    async def put(self, path: str, **body: object) -> httpx2.Response:
        return await self.put_as(new_id(), "compliance", path, body)

    async def put_as(self, who: str, role: str, path: str, body: Mapping[str, object]) -> httpx2.Response:
        headers = self.keys.bearer(who, role)
        return await self.http.put(f"{ADMIN}/{path}", headers=headers, json={"reason": "looked at", **body})

    async def see(self, path: str) -> dict[str, Any]:
        answer = await self.http.get(f"{ADMIN}/{path}", headers=self.keys.bearer(new_id(), "auditor"))
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def limits_of(self, user_id: str) -> dict[str, dict[str, Any]]:
        """What the customer himself is answered, by the limits' names."""
        answer = await self.http.get("/api/v1/limits", headers=self.keys.bearer(user_id))
        assert answer.status_code == 200, answer.text
        return {one["limit"]: one for one in answer.json()["limits"]}

    async def customer(self) -> str:
        user_id = new_id()
        await self.office.verify(user_id)
        return user_id

    async def code_of(self, payer: str, *, amount_minor: int = 100_00, asset: str = "USD") -> str:
        """Have a transfer decided, and return the code of its block, else its verdict."""
        await self.office.ask_until_answered(transfer(payer, amount_minor=amount_minor, asset=asset))
        screened = self.office.said[-1]
        return str(screened.code or screened.verdict)

    async def audited(self, resource_id: str) -> list[tuple[str, str]]:
        rows = await self.office.query(
            "SELECT action, facts FROM fraud.audit_log WHERE resource_id = $1 ORDER BY entry_id", resource_id
        )
        return [(action, facts) for action, facts in rows]


@pytest.fixture
async def desk(office: Office, fraud_dsn: str, fraud_admin_dsn: str, tmp_path: Path) -> AsyncIterator[Desk]:
    engine, keys = make_engine(fraud_dsn, "fraud-test"), TokenKeys(tmp_path)
    policy = PolicyInForce(velocity_lifted=False)
    async with unit_of_work(fraud_admin_dsn, "fraud", RecordingPublisher()) as uow:
        routers = limit_routers(Reading(engine), uow, policy, lambda: office.now)
        async with http_client("fraud", routers, keys) as client:
            yield Desk(client, keys, office)
    await engine.dispose()


async def test_a_customers_own_limit_holds_from_his_next_transfer_though_he_is_remembered(desk: Desk) -> None:
    payer = await desk.customer()
    assert await desk.code_of(payer, amount_minor=100_01) == "approve"

    answer = await desk.put(f"customers/{payer}/limits", max_minor=100_00)
    assert (answer.status_code, answer.json()["version"]) == (200, 1)
    command = transfer(payer, amount_minor=100_01)
    await desk.office.ask_until_answered(command)
    facts = desk.office.said[-1].facts

    assert (facts["limit"], facts["limit_minor"], facts["set_by"]) == ("maximum_amount", 100_00, "personal")
    assert await desk.code_of(payer, amount_minor=100_00) == "approve"
    [[features]] = await desk.office.query(
        "SELECT convert_from(features, 'UTF8')::jsonb ->> 'personal_version' FROM fraud.decisions "
        "WHERE transfer_id = $1",
        command.transfer_id,
    )
    assert features == "1"

    ended = await desk.http.delete(
        f"{ADMIN}/customers/{payer}/limits?reason=over", headers=desk.keys.bearer(new_id(), "compliance")
    )
    assert (ended.json()["version"], ended.json()["max_minor"]) == (2, None)
    again = transfer(payer, amount_minor=100_01)
    await desk.office.ask_until_answered(again)
    assert desk.office.said[-1].verdict == "approve"
    assert [action for action, _ in await desk.audited(payer)] == ["personal_limits.set"] * 2
    assert (await desk.audited(payer))[0][1] == ('{"after":{"max_minor":10000,"version":1},"before":{"version":0}}'), (
        "numbers, no text of anybody's"
    )


async def test_saying_the_same_limits_again_changes_and_records_nothing(desk: Desk) -> None:
    payer = await desk.customer()
    first = await desk.put(f"customers/{payer}/limits", hour_count=3)
    version = await desk.office.version_of(payer)

    again = await desk.put(f"customers/{payer}/limits", hour_count=3, reason="asked twice")

    assert again.json() == first.json()
    assert await desk.office.version_of(payer) == version
    assert len(await desk.audited(payer)) == 1


async def test_a_customer_sees_what_holds_for_him_what_he_used_and_when_it_comes_back(desk: Desk) -> None:
    payer = await desk.customer()
    await desk.code_of(payer, amount_minor=30_00)
    desk.office.pass_time(minutes=10)
    await desk.code_of(payer, amount_minor=12_00)
    await desk.put(f"customers/{payer}/limits", hour_count=1)

    limits = await desk.limits_of(payer)

    assert limits["maximum_amount"] == {
        "limit": "maximum_amount",
        "limit_set_by": "profile",
        "limit_minor": 1_000_000_00,
        "used_minor": None,
        "remaining_minor": None,
        "limit_count": None,
        "used_count": None,
        "remaining_count": None,
        "resets_at": None,
    }
    day = limits["daily_amount"]
    assert (day["used_minor"], day["remaining_minor"]) == (42_00, 5_000_000_00 - 42_00)
    assert day["resets_at"] == "2026-03-02T12:00:00.000000Z"
    hour = limits["hourly_count"]
    assert (hour["limit_count"], hour["used_count"], hour["remaining_count"]) == (1, 2, 0)
    assert (hour["limit_set_by"], hour["resets_at"]) == ("personal", "2026-03-01T13:00:00.000000Z")
    assert (await desk.see(f"customers/{payer}/limits"))["personal"]["hour_count"] == 1
    unused = await desk.limits_of(await desk.customer())
    assert (unused["daily_count"]["used_count"], unused["daily_count"]["resets_at"]) == (0, None)


async def test_a_tier_bounds_its_customers_and_a_tier_that_went_down_only_new_transfers(desk: Desk) -> None:
    office, payer, payee = desk.office, await desk.customer(), new_id()
    await office.verify(payer, tier=3, version=2)
    held = transfer(payer, amount_minor=900_00, payee=payee, payee_tier=0)
    assert (await office.ask_one(held)).verdict == "hold"
    try:
        assert (await desk.put("limit-tiers/1", max_minor=500_00)).status_code == 200
        await office.verify(payer, tier=1, version=3)
        desk.office.policy_grows_old()
        facts = (await office.ask_one(transfer(payer, amount_minor=500_01))).facts
        assert (facts["limit_minor"], facts["set_by"]) == (500_00, "tier")
        assert await desk.code_of(payer, amount_minor=500_00) == "approve"

        office.pass_time(hours=25)  # its slot has left the window, so it needs another
        await office.verify(payee)
        assert [one.resolution for one in office.resolutions(held.transfer_id)] == ["release"]
    finally:
        await desk.put("limit-tiers/1", max_minor=1_000_000_00, day_sum_minor=5_000_000_00)
    versions = await office.query(
        "SELECT max_minor, version FROM fraud.limit_versions WHERE (kind, subject) = ('tier', '1') ORDER BY version"
    )
    assert [tuple(one) for one in versions] == [(1_000_000_00, 1), (500_00, 2), (1_000_000_00, 3)]


async def test_a_profile_is_changed_within_its_caps(desk: Desk) -> None:
    wide = {**RETAIL, "hour_count": 20_000}
    assert (await desk.put("limit-profiles/business", **wide)).json()["code"] == "invalid_request"
    above = await desk.put("limit-profiles/retail", **{**RETAIL, "hour_count": 51})
    assert (above.status_code, above.json()["code"], above.json()["cap"]) == (422, "limit_above_cap", 50)
    upside_down = await desk.put("limit-profiles/retail", **{**RETAIL, "min_minor": 2, "max_minor": 1})
    assert upside_down.json()["code"] == "minimum_above_maximum"
    assert (await desk.see("limit-profiles/retail"))["version"] == 1, "nothing was changed"
    payer = await desk.customer()
    try:
        assert (await desk.put("limit-profiles/retail", **{**RETAIL, "hour_count": 1})).json()["version"] == 2
        desk.office.policy_grows_old()
        assert await desk.code_of(payer) == "approve"
        assert await desk.code_of(payer) == "hourly_count_limit_exceeded"
    finally:
        await desk.put("limit-profiles/retail", **RETAIL)
    assert [action for action, _ in await desk.audited("retail")] == ["limit_policy.set"] * 2


async def test_an_asset_gets_a_rate_without_sql_and_its_transfers_go_at_once(desk: Desk) -> None:
    payer, asset = await desk.customer(), "XPT"
    assert (await desk.http.get(f"{ADMIN}/usd-rates/{asset}", headers=desk.keys.bearer(new_id(), "operator"))).json()[
        "code"
    ] == "usd_rate_not_found"

    made = await desk.put_as(new_id(), "operator", f"usd-rates/{asset}", {"numerator": 3, "denominator": 2})

    assert (made.status_code, made.json()["version"]) == (200, 1)
    command = transfer(payer, amount_minor=10, asset=asset)
    assert (await desk.office.ask_one(command)).verdict == "approve"
    changed = await desk.put(f"usd-rates/{asset}", numerator=2, denominator=1)
    assert (changed.json()["version"], (await desk.see(f"usd-rates/{asset}"))["numerator"]) == (2, 2)
    [[usd_minor, rate]] = await desk.office.query(
        "SELECT usd_minor, convert_from(features, 'UTF8')::jsonb #> $2 FROM fraud.decisions WHERE transfer_id = $1",
        command.transfer_id,
        ["rates", asset],
    )
    assert (usd_minor, rate) == (15, "[3, 2]")
    assert (await desk.audited(asset))[1][1] == (
        '{"after":{"denominator":1,"numerator":2,"version":2},"before":{"denominator":2,"numerator":3,"version":1}}'
    )


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("usd-rates/USD", {"numerator": 2, "denominator": 1}, "usd_rate_fixed"),
        ("usd-rates/EUR", {"numerator": 0, "denominator": 1}, "invalid_request"),
        ("usd-rates/EUR", {"numerator": 1, "denominator": 2**53}, "invalid_request"),
        ("usd-rates/eur", {"numerator": 1, "denominator": 1}, "invalid_request"),
        ("limit-tiers/0", {"max_minor": 1}, "invalid_request"),
        ("limit-tiers/2", {"max_minor": 1_000_000_01}, "invalid_request"),
        ("customers/{unknown}/limits", {"max_minor": 1}, "customer_not_found"),
        ("customers/{unknown}/limits", {}, "limits_empty"),
        ("customers/{unknown}/limits", {"max_minor": 0}, "invalid_request"),
        ("customers/{unknown}/limits", {"max_minor": 1, "reason": ""}, "invalid_request"),
        ("customers/{unknown}/limits", {"min_minor": 2, "max_minor": 1}, "minimum_above_maximum"),
    ],
    ids=[
        "dollars",
        "rate of zero",
        "rate too exact",
        "no asset",
        "no tier",
        "beyond everybody's",
        "nobody",
        "no limit",
        "limit of zero",
        "no reason",
        "contradiction",
    ],
)
async def test_wrong_input_is_refused(desk: Desk, path: str, body: dict[str, object], code: str) -> None:
    answer = await desk.put(path.format(unknown=new_id()), **body)
    assert answer.json()["code"] == code


async def test_nobody_sets_his_own_limits_and_only_compliance_sets_any(desk: Desk) -> None:
    officer = await desk.customer()
    own = await desk.put_as(officer, "compliance", f"customers/{officer}/limits", {"max_minor": 1})
    assert (own.status_code, own.json()["code"]) == (403, "own_limits")
    for path in (f"customers/{officer}/limits", "limit-profiles/retail", "limit-tiers/1", "usd-rates/EUR"):
        for role in ("customer", "support", "auditor", "admin"):
            assert (await desk.put_as(new_id(), role, path, {})).json()["code"] == "role_required"


async def test_the_database_keeps_what_was_set_and_refuses_what_nobody_may_have(
    desk: Desk, fraud_admin_dsn: str
) -> None:
    payer = await desk.customer()
    await desk.put(f"customers/{payer}/limits", max_minor=5)
    async with admin_connection(fraud_admin_dsn) as connection:
        for statement in (
            "UPDATE fraud.personal_limits SET max_minor = 6",
            "DELETE FROM fraud.limit_versions",
            "UPDATE fraud.limit_profiles SET max_minor = 100000001, version = version + 1",
            "UPDATE fraud.limit_profiles SET hour_count = 51, version = version + 1 WHERE profile = 'retail'",
            "UPDATE fraud.tier_limits SET day_sum_minor = 500000001, version = version + 1",
        ):
            with pytest.raises(asyncpg.CheckViolationError):
                await connection.execute(statement)
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute("UPDATE fraud.limit_profiles SET hour_count = 49")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await desk.office.query("INSERT INTO fraud.limit_versions SELECT * FROM fraud.limit_versions")
