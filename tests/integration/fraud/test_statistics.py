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

from libs.common.db.engine import make_engine
from libs.common.db.reading import Reading
from libs.common.ids import new_id
from services.fraud.api.statistics import statistics_router
from services.fraud.views.fraud_statistics import ShowStatistics
from tests.integration.fraud.office import Office
from tests.integration.fraud.random_decisions import RULES, decide_at_random
from tests.integration.fraud.rulebook import end_rulesets, put_live
from tests.support.api_world import TokenKeys, http_client

PATH = "/api/v1/admin/fraud-stats"
FIRST = datetime(2025, 1, 1, tzinfo=UTC)
"""A year of this file's own: other tests decide in others."""
DAYS = 12


@pytest.fixture
def keys(tmp_path: Path) -> TokenKeys:
    return TokenKeys(tmp_path)


@pytest.fixture
async def http(fraud_dsn: str, keys: TokenKeys) -> AsyncIterator[httpx2.AsyncClient]:
    engine = make_engine(fraud_dsn, "fraud-test")
    async with http_client("fraud", [statistics_router(ShowStatistics(Reading(engine)))], keys) as client:
        yield client
    await engine.dispose()


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
    await decide_at_random(office, dice, begins_at=FIRST, days=DAYS)
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
