"""What rule sets in the shadow said, beside what was decided: sums of the counts, and the decisions that differ."""

from datetime import datetime
from typing import Final, Literal, NamedTuple

import asyncpg

from libs.common.http.days import Days

SPANS_MAX: Final = 100

Part = Literal["made", "hour", "cell", "rule"]

# One statement, so one snapshot. What was made is known by hours, so an hour counts whole if the set was in the shadow
# for a part of it, or if a decision of it was judged: a moment's difference of clocks may move it across the hour.
_SUMS: Final = """
    WITH moved AS (
        SELECT action, at, lead(at, 1, 'infinity') OVER (ORDER BY at, event_id) AS until FROM fraud.ruleset_events
        WHERE version = $1 AND action IN ('shadowed', 'unshadowed', 'put_live')
    ),
    spans AS MATERIALIZED (SELECT at, until FROM moved WHERE action = 'shadowed'),
    counted AS MATERIALIZED (
        SELECT hour, live_verdict, verdict, sum(decisions) AS decisions, sum(usd_minor) AS usd_minor
        FROM fraud.shadow_counts WHERE ruleset = $1 AND hour >= $2 AND hour < $3 GROUP BY 1, 2, 3
    ),
    made AS MATERIALIZED (
        SELECT hour, sum(decisions) AS decisions, sum(usd_minor) AS usd_minor FROM fraud.decision_counts
        WHERE hour >= $2 AND hour < $3 GROUP BY hour
    )
    SELECT 'made', m.hour, CASE WHEN whole.is_so THEN 'whole' ELSE 'part' END, '', m.decisions::bigint,
           m.usd_minor::bigint
    FROM made m
    CROSS JOIN LATERAL (
        SELECT EXISTS (SELECT FROM spans s WHERE s.at <= m.hour AND s.until >= m.hour + interval '1 hour') AS is_so
    ) AS whole
    WHERE EXISTS (SELECT FROM spans s WHERE s.at < m.hour + interval '1 hour' AND s.until > m.hour)
        OR EXISTS (SELECT FROM counted c WHERE c.hour = m.hour)
    UNION ALL
    SELECT 'hour', hour,
           CASE WHEN verdict IN ('error', 'dropped') THEN verdict
                WHEN verdict = live_verdict THEN 'same' ELSE 'changed' END,
           '', sum(decisions)::bigint, sum(usd_minor)::bigint
    FROM counted GROUP BY 2, 3
    UNION ALL
    SELECT 'cell', NULL, live_verdict, verdict, sum(decisions)::bigint, sum(usd_minor)::bigint
    FROM counted GROUP BY 3, 4
    UNION ALL
    SELECT 'rule', NULL, rule_id, outcome, sum(decisions)::bigint, sum(usd_minor)::bigint
    FROM fraud.shadow_rule_counts WHERE ruleset = $1 AND hour >= $2 AND hour < $3 GROUP BY 3, 4
    ORDER BY 1, 2, 3, 4
"""

_SPANS: Final = """
    WITH moved AS (
        SELECT action, at, lead(at) OVER (ORDER BY at, event_id) AS until FROM fraud.ruleset_events
        WHERE version = $1 AND action IN ('shadowed', 'unshadowed', 'put_live')
    )
    SELECT at, until FROM moved WHERE action = 'shadowed' AND at < $3 AND coalesce(until > $2, true)
    ORDER BY at DESC LIMIT $4
"""

_CHANGED: Final = """
    SELECT decision_id::text, transfer_id::text, decided_at, live_verdict, verdict, code, points, hits, muted, errors,
           live_hits, usd_minor
    FROM fraud.shadow_decisions s
    WHERE ruleset = $1 AND verdict <> live_verdict AND decided_at >= $2 AND decided_at < $3
        AND NOT EXISTS (SELECT FROM fraud.decisions d WHERE d.transfer_id = s.transfer_id AND d.user_id = $6::uuid)
        AND (decided_at, decision_id) < (
            coalesce((SELECT decided_at FROM fraud.shadow_decisions WHERE ruleset = $1 AND decision_id = $4::uuid), $3),
            coalesce($4::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
    ORDER BY decided_at DESC, decision_id DESC LIMIT $5
"""


class ShadowSum(NamedTuple):
    """How many decisions had this, and what they were worth in US cents.

    `made`: by hour, all that were decided; `name` tells whether the set was in the shadow for the `whole` hour or a
    `part` of it. `hour`: what became of them in the shadow. `cell`: `name` is the verdict, `detail` the shadow's.
    `rule`: `detail` is how it had its say.
    """

    part: Part
    hour: datetime | None
    name: str
    detail: str
    decisions: int
    usd_minor: int


class Span(NamedTuple):
    """When a rule set was in the shadow; no end: it still is."""

    begins_at: datetime
    ends_at: datetime | None


class Differing(NamedTuple):
    """A decision that the rule set would have made otherwise, or on which it could not be asked (`error`)."""

    decision_id: str
    transfer_id: str
    decided_at: datetime
    live_verdict: str
    verdict: str
    code: str
    points: int
    hits: list[str]
    muted: list[str]
    errors: list[str]
    live_hits: list[str]
    usd_minor: int


async def sum_up_shadow(connection: asyncpg.Connection, version: int, days: Days) -> list[ShadowSum]:
    """Return the sums over these days, as `ShadowSum` says; hours in order."""
    return [ShadowSum(*row) for row in await connection.fetch(_SUMS, version, *days)]


async def list_spans(connection: asyncpg.Connection, version: int, days: Days) -> list[Span]:
    """Return when the rule set was in the shadow in these days, the newest hundred times, newest first."""
    return [Span(*row) for row in await connection.fetch(_SPANS, version, *days, SPANS_MAX)]


async def list_differing(
    connection: asyncpg.Connection, version: int, days: Days, *, reader_id: str, before_id: str | None, limit: int
) -> list[Differing]:
    """Return decisions of these days that it would have made otherwise, newest first, behind the decision named.

    What the reader himself sent is left out: nobody learns what he is suspected of.
    """
    rows = await connection.fetch(_CHANGED, version, *days, before_id, limit, reader_id)
    return [Differing(*row) for row in rows]
