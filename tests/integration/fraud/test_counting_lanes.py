"""Processes count what they decide in rows of their own, and those that share some never wait for each other."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

import asyncpg
import pytest

from libs.common.ids import new_id
from services.fraud.store.counts import COUNT_DECISIONS, COUNT_RULES, LANES, any_lane, lane_of_others
from tests.integration.fraud.office import NOON, Office, deposit, transfer

_LANE: Final = 7
_COUNT_RULES: Final = COUNT_RULES.format(
    hours="$1",
    rules="$2",
    verdicts="$3",
    outcomes="$4",
    counts="$5",
    sums="$6",
    ruleset="999",
    lane=_LANE,
    only="",
)
_COUNT_DECISIONS: Final = COUNT_DECISIONS.format(
    verdict="d.verdict",
    code="d.code",
    reasons="''::text",
    ruleset="999",
    lane=_LANE,
    how_many="count(*)",
    decisions="unnest($1::timestamptz[], $2::text[], $3::text[], $4::bigint[]) AS d "
    "(decided_at, verdict, code, usd_minor)",
)


@pytest.fixture
async def connections(fraud_dsn: str) -> AsyncIterator[list[asyncpg.Connection]]:
    """Give three that plan as the service does: two that count, and one that stands in their way."""
    opened = [
        await asyncpg.connect(fraud_dsn, server_settings={"plan_cache_mode": "force_generic_plan"}) for _ in range(3)
    ]
    yield opened
    for connection in opened:
        await connection.close()


async def _count(connection: asyncpg.Connection, rules: Sequence[str]) -> list[str]:
    """Count a decision for each of these rules; return them in the order in which their rows were taken."""
    many = len(rules)
    rows = await connection.fetch(
        f"{_COUNT_RULES} RETURNING c.rule_id",  # a statement written here
        [NOON] * many,
        list(rules),
        ["approve"] * many,
        ["hit"] * many,
        [1] * many,
        [100] * many,
    )
    return [row[0] for row in rows]


async def _until_two_wait(connection: asyncpg.Connection) -> None:
    while True:
        # Within a transaction, what others do is remembered from the first look on.
        await connection.execute("SELECT pg_stat_clear_snapshot()")
        waiting = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%rule_counts%'"
        )
        if waiting == 2:
            return
        await asyncio.sleep(0.01)


async def test_two_that_share_a_lane_and_have_rules_in_opposite_orders_both_get_through(
    connections: list[asyncpg.Connection],
) -> None:
    """Left to a hash table, one took white, blue, green, the other green, grey, white, each waited for the other."""
    one, other, between = connections
    await _count(between, ["blue", "green", "grey", "white"])
    gate = between.transaction()
    await gate.start()
    await between.execute(
        "SELECT FROM fraud.rule_counts WHERE rule_id = ANY($1) AND ruleset = 999 FOR UPDATE", ["blue", "grey"]
    )

    both = [
        asyncio.create_task(_count(one, ["blue", "green", "white"])),
        asyncio.create_task(_count(other, ["green", "white", "grey"])),
    ]
    await _until_two_wait(between)
    await gate.rollback()

    assert await asyncio.gather(*both) == [["blue", "green", "white"], ["green", "grey", "white"]]


async def test_hours_verdicts_and_codes_are_counted_in_one_order_however_they_come(
    connections: list[asyncpg.Connection],
) -> None:
    codes = [f"code_{number}" for number in range(40)]
    for order in (codes, codes[::-1], codes[20:] + codes[:20]):
        rows = await connections[0].fetch(
            f"{_COUNT_DECISIONS} RETURNING c.code",  # a statement written here
            [NOON] * len(order),
            ["block"] * len(order),
            order,
            [1] * len(order),
        )
        assert [row[0] for row in rows] == sorted(codes)


async def test_each_process_counts_in_its_own_lane_and_what_is_not_plain_in_another(fraud_dsn: str) -> None:
    async with Office(fraud_dsn, lane=3) as one, Office(fraud_dsn, lane=4) as other:
        for office, code_minor in ((one, 1_000_000_01), (other, 1_000_000_01)):
            office.pass_time(days=1_400)  # when nobody else decides
            await office.ask(transfer(new_id()), transfer(new_id(), amount_minor=code_minor), deposit(amount_minor=1))
        rows = await one.query(
            "SELECT lane, verdict, decisions FROM fraud.decision_counts WHERE hour = $1 ORDER BY 1, 2", one.now
        )
    assert [(row[0], row[1], row[2]) for row in rows] == [
        (3, "approve", 2),
        (4, "approve", 2),
        (lane_of_others(3), "block", 1),
        (lane_of_others(4), "block", 1),
    ]


def test_a_lane_is_drawn_anew_by_each_process_and_never_that_of_somebody_s_others() -> None:
    drawn = {any_lane() for _ in range(500)}
    assert drawn <= set(range(LANES))
    assert len(drawn) > LANES // 2
    assert drawn.isdisjoint(lane_of_others(lane) for lane in range(LANES))
