"""Sums of what was counted with the decisions: `fraud.decision_counts` and `fraud.rule_counts`."""

from datetime import datetime
from typing import Final, Literal, NamedTuple

import asyncpg

from libs.common.http.days import Days

Part = Literal["verdict", "code", "hold_reason", "hour", "rule"]

# One statement, so one snapshot: the parts of an answer sum up to each other while decisions go on.
_SUMS: Final = """
    WITH counted AS MATERIALIZED (
        SELECT hour, verdict, code, reasons, sum(decisions) AS decisions, sum(usd_minor) AS usd_minor
        FROM fraud.decision_counts WHERE hour >= $1 AND hour < $2 GROUP BY 1, 2, 3, 4
    )
    SELECT 'verdict', NULL::timestamptz, verdict, '', sum(decisions)::bigint, sum(usd_minor)::bigint
    FROM counted GROUP BY verdict
    UNION ALL
    SELECT 'code', NULL, code, '', sum(decisions)::bigint, sum(usd_minor)::bigint
    FROM counted WHERE code <> '' GROUP BY code
    UNION ALL
    SELECT 'hold_reason', NULL, reason, '', sum(decisions)::bigint, sum(usd_minor)::bigint
    FROM counted CROSS JOIN string_to_table(reasons, ',') AS one (reason) WHERE reasons <> '' GROUP BY reason
    UNION ALL
    SELECT 'hour', hour, verdict, '', sum(decisions)::bigint, sum(usd_minor)::bigint
    FROM counted GROUP BY hour, verdict
    UNION ALL
    SELECT 'rule', NULL, rule_id, outcome, sum(decisions)::bigint, sum(usd_minor)::bigint
    FROM fraud.rule_counts WHERE hour >= $1 AND hour < $2 GROUP BY rule_id, outcome
    ORDER BY 1, 2, 3, 4
"""


class Sum(NamedTuple):
    """How many decisions had this, and what they were worth in US cents. `detail` is how a rule had its say."""

    part: Part
    hour: datetime | None
    name: str
    detail: str
    decisions: int
    usd_minor: int


async def sum_up(connection: asyncpg.Connection, days: Days) -> list[Sum]:
    """Return the sums over these days by verdict, code, reason of holds, hour and verdict, rule and outcome."""
    return [Sum(*row) for row in await connection.fetch(_SUMS, *days)]
