"""Statistics of decisions: whatever the range, they are what a count of the decisions themselves gives."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx2
import msgspec
import pytest

from libs.common.contracts.transfers import TransferCommand
from libs.common.db.engine import make_engine
from libs.common.db.reading import Reading
from libs.common.ids import new_id
from services.fraud.api.statistics import statistics_router
from services.fraud.views.fraud_statistics import ShowStatistics
from tests.integration.fraud.office import Office, deposit, transfer, withdrawal
from tests.integration.fraud.rulebook import end_rulesets, put_live
from tests.support.api_world import TokenKeys, http_client

PATH = "/api/v1/admin/fraud-stats"
FIRST = datetime(2025, 1, 1, tzinfo=UTC)
"""A year of this file's own: other tests decide in others."""
DAYS = 12
RULES = """
name: tried
review_from: 50
block_from: 100
rules:
- id: round
  title: Round amounts
  when: usd_minor % 10000 == 0
  message: "{usd_minor} is round"
  typology: scam
  points: 50
  examples: [{given: {usd_minor: 10000}, hits: true}, {given: {usd_minor: 1}, hits: false}]
- id: large
  title: Large
  when: usd_minor > 40000
  message: "{usd_minor} is large"
  typology: scam
  points: 60
  examples: [{given: {usd_minor: 50000}, hits: true}, {given: {usd_minor: 1}, hits: false}]
- id: share
  title: Cannot always be computed
  when: usd_minor / (usd_minor % 7) > 1000000000
  message: never
  typology: other
  points: 1
  on_error: ignore
  examples: [{given: {usd_minor: 9000000006}, hits: true}, {given: {usd_minor: 1}, hits: false}]
"""


@pytest.fixture
def keys(tmp_path: Path) -> TokenKeys:
    return TokenKeys(tmp_path)


@pytest.fixture
async def http(fraud_dsn: str, keys: TokenKeys) -> AsyncIterator[httpx2.AsyncClient]:
    engine = make_engine(fraud_dsn, "fraud-test")
    async with http_client("fraud", [statistics_router(ShowStatistics(Reading(engine)))], keys) as client:
        yield client
    await engine.dispose()


def _random_command(dice: Random, payers: list[str]) -> TransferCommand:
    amount_minor = dice.choice([100_00, 123_45, 500_00, 433_21, 7_00, 2_000_000_00])
    match dice.randrange(10):
        case 0:
            return deposit(amount_minor=amount_minor)
        case 1:
            return withdrawal(dice.choice(payers), amount_minor=amount_minor)
        case 2:
            return transfer(dice.choice(payers), amount_minor=amount_minor, payee_tier=0)
        case 3:
            return transfer(new_id(), payer_tier=0, amount_minor=amount_minor)
        case _:
            return transfer(dice.choice(payers), amount_minor=amount_minor)


async def _decide_at_random(office: Office, dice: Random) -> None:
    payers = [new_id() for _ in range(4)]
    moments = [FIRST + timedelta(seconds=dice.randrange(DAYS * 86_400)) for _ in range(40)]
    midnights = [FIRST + timedelta(days=day) for day in range(DAYS)]
    for office.now in sorted(moments + midnights + [midnight - timedelta(microseconds=1) for midnight in midnights]):
        commands = [_random_command(dice, payers) for _ in range(dice.randrange(1, 4))]
        if dice.random() < 0.2:
            await office.ask_batch(*commands)
        else:
            await office.ask(*commands)


async def _counted(office: Office, begins_at: datetime, ends_before: datetime) -> dict[str, Counter[Any]]:
    """Count the decisions one by one: part → what is counted → decisions, and (…, "usd") → US cents."""
    found: dict[str, Counter[Any]] = {name: Counter() for name in ("verdict", "code", "reason", "rule", "hour", "day")}

    def count(part: str, key: Any, usd_minor: int) -> None:
        found[part][key] += 1
        found[part][key, "usd"] += usd_minor

    for row in await office.query(
        "SELECT * FROM fraud.decisions WHERE decided_at >= $1 AND decided_at < $2", begins_at, ends_before
    ):
        usd_minor, verdict, at = row["usd_minor"], row["verdict"], row["decided_at"]
        features = msgspec.json.decode(row["features"])
        count("verdict", verdict, usd_minor)
        count("hour", (at.strftime("%Y-%m-%dT%H:00:00"), verdict), usd_minor)
        count("day", (at.date().isoformat(), verdict), usd_minor)
        if row["code"]:
            count("code", row["code"], usd_minor)
        for reason in row["reasons"]:
            count("reason", reason, usd_minor)
        for outcome in ("hits", "muted", "errors"):
            for rule_id in features.get(outcome, ()):
                count("rule", (rule_id, outcome), usd_minor)
    return found


def _said(body: dict[str, Any]) -> dict[str, Counter[Any]]:
    """Return the answer in the same form."""
    found: dict[str, Counter[Any]] = {name: Counter() for name in ("verdict", "code", "reason", "rule", "hour", "day")}

    def take(part: str, key: Any, counted: dict[str, Any]) -> None:
        if counted["decisions"]:
            found[part][key] = counted["decisions"]
            found[part][key, "usd"] = counted["usd_minor"]

    for part, listed, name in (
        ("verdict", "by_verdict", "verdict"),
        ("code", "by_code", "code"),
        ("reason", "by_hold_reason", "hold_reason"),
    ):
        for one in body[listed]:
            take(part, one[name], one)
    for one in body["by_rule"]:
        for outcome in ("hits", "muted", "errors"):
            take("rule", (one["rule_id"], outcome), one[outcome])
    for verdict in ("approve", "hold", "block"):
        for one in body["by_hour"]:
            take("hour", (one["hour"][:19], verdict), one[verdict])
        for one in body["by_day"]:
            take("day", (one["day"], verdict), one[verdict])
    return found


async def test_the_sums_of_any_range_are_those_of_the_decisions(
    office: Office, http: httpx2.AsyncClient, keys: TokenKeys, fraud_admin_dsn: str
) -> None:
    dice = Random(20250101)
    await put_live(fraud_admin_dsn, RULES)
    await _decide_at_random(office, dice)
    await end_rulesets(fraud_admin_dsn)
    seen = set()
    for _ in range(25):
        first, last = sorted(FIRST.date() + timedelta(days=dice.randrange(-1, DAYS + 1)) for _ in range(2))
        body = await _ask(http, keys, first, last)
        begins_at = datetime(first.year, first.month, first.day, tzinfo=UTC)
        expected = await _counted(office, begins_at, begins_at + timedelta(days=(last - first).days + 1))
        assert _said(body) == {part: Counter(dict(counts)) for part, counts in expected.items()}
        verdicts = expected["verdict"]
        assert body["total"]["decisions"] == sum(verdicts[one] for one in ("approve", "hold", "block"))
        assert body["total"]["usd_minor"] == sum(verdicts[one, "usd"] for one in ("approve", "hold", "block"))
        seen |= {*expected["code"], *expected["reason"], *expected["rule"], *verdicts}
    assert seen >= {"approve", "hold", "block", "unusual_activity", "kyc_required", "review", "kyc_pending"}
    assert seen >= {("round", "hits"), ("share", "errors")}


async def _ask(http: httpx2.AsyncClient, keys: TokenKeys, first: date, last: date) -> dict[str, Any]:
    answer = await http.get(
        PATH, headers=keys.bearer(new_id(), "auditor"), params={"start_date": str(first), "end_date": str(last)}
    )
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


@pytest.mark.parametrize(
    ("first", "last", "code"),
    [
        ("2026-03-02", "2026-03-01", "conflicting_parameters"),
        ("2026-01-01", "2027-01-02", "period_too_long"),
        ("2026-02-30", "2026-03-01", "invalid_request"),
        ("20260301", "2026-03-01", "invalid_request"),
        ("1969-12-31", "1970-01-01", "invalid_request"),
    ],
)
async def test_a_wrong_range_is_refused(
    http: httpx2.AsyncClient, keys: TokenKeys, first: str, last: str, code: str
) -> None:
    answer = await http.get(
        PATH, headers=keys.bearer(new_id(), "admin"), params={"start_date": first, "end_date": last}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_a_leap_year_is_one_range_and_the_last_day_is_there(http: httpx2.AsyncClient, keys: TokenKeys) -> None:
    body = await _ask(http, keys, date(2020, 1, 1), date(2020, 12, 31))
    assert (body["total"], body["by_day"]) == ({"decisions": 0, "usd_minor": 0}, [])
    assert (await _ask(http, keys, date(9999, 12, 31), date(9999, 12, 31)))["by_hour"] == []


async def test_customers_see_no_statistics(http: httpx2.AsyncClient, keys: TokenKeys) -> None:
    query = {"start_date": "2026-01-01", "end_date": "2026-01-01"}
    assert (await http.get(PATH, params=query)).status_code == 401
    refused = await http.get(PATH, params=query, headers=keys.bearer(new_id()))
    assert refused.json()["code"] == "role_required"
