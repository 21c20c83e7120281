"""`fraud.shadow_decisions`, INSERT only, and the counts that are written with them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple

import asyncpg
import msgspec

ShadowVerdict = Literal["approve", "hold", "block", "error"]

# What it is compared with is read from the decision itself. A row that is there already is not counted again: who does
# not know whether this was written does it once more. Rows and counts are written in the order of their keys, so that
# two who write the same wait for each other and never in a circle.
_KEEP: Final = """
    WITH kept AS (
        INSERT INTO fraud.shadow_decisions (ruleset, decision_id, transfer_id, live_verdict, verdict, code, points,
                                            hits, muted, errors, live_hits, usd_minor, decided_at)
        SELECT said.ruleset, d.decision_id, d.transfer_id, d.verdict, said.verdict, said.code, said.points,
               string_to_array(said.hits, ','), string_to_array(said.muted, ','), string_to_array(said.errors, ','),
               string_to_array(said.live_hits, ','), d.usd_minor, d.decided_at
        FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::text[], $5::integer[], $6::text[], $7::text[],
                    $8::text[], $9::text[])
            AS said (transfer_id, ruleset, verdict, code, points, hits, muted, errors, live_hits)
        JOIN fraud.decisions d ON d.transfer_id = said.transfer_id
        ORDER BY said.ruleset, d.decision_id
        ON CONFLICT (ruleset, decision_id) DO NOTHING
        RETURNING *
    ),
    counted AS (
        INSERT INTO fraud.shadow_counts AS c (hour, ruleset, live_verdict, verdict, lane, decisions, usd_minor)
        SELECT date_trunc('hour', decided_at, 'UTC'), ruleset, live_verdict, verdict, $10::smallint, count(*),
               sum(usd_minor)
        FROM kept GROUP BY 1, 2, 3, 4 ORDER BY 2, 1, 3, 4
        ON CONFLICT (ruleset, hour, live_verdict, verdict, lane)
        DO UPDATE SET decisions = c.decisions + excluded.decisions, usd_minor = c.usd_minor + excluded.usd_minor
    )
    INSERT INTO fraud.shadow_rule_counts AS c (hour, ruleset, rule_id, outcome, lane, decisions, usd_minor)
    SELECT date_trunc('hour', k.decided_at, 'UTC'), k.ruleset, one.rule_id, one.outcome, $10::smallint, count(*),
           sum(k.usd_minor)
    FROM kept k CROSS JOIN LATERAL (
        SELECT unnest(k.hits), 'hit' UNION ALL SELECT unnest(k.muted), 'muted'
        UNION ALL SELECT unnest(k.errors), 'error' UNION ALL SELECT unnest(k.live_hits), 'live_hit'
    ) AS one (rule_id, outcome)
    WHERE k.verdict <> 'error'
    GROUP BY 1, 2, 3, 4 ORDER BY 2, 1, 3, 4
    ON CONFLICT (ruleset, hour, rule_id, outcome, lane)
    DO UPDATE SET decisions = c.decisions + excluded.decisions, usd_minor = c.usd_minor + excluded.usd_minor
"""

_COUNT_DROPPED: Final = """
    INSERT INTO fraud.shadow_counts AS c (hour, ruleset, live_verdict, verdict, lane, decisions, usd_minor)
    SELECT date_trunc('hour', d.hour, 'UTC'), d.ruleset, d.live_verdict, 'dropped', $6::smallint, sum(d.decisions),
           sum(d.usd_minor)
    FROM unnest($1::timestamptz[], $2::integer[], $3::text[], $4::bigint[], $5::bigint[])
        AS d (hour, ruleset, live_verdict, decisions, usd_minor)
    GROUP BY 1, 2, 3 ORDER BY 2, 1, 3
    ON CONFLICT (ruleset, hour, live_verdict, verdict, lane)
    DO UPDATE SET decisions = c.decisions + excluded.decisions, usd_minor = c.usd_minor + excluded.usd_minor
"""


class NewShadowDecision(msgspec.Struct, frozen=True, gc=False):
    """What a rule set would have decided on a transfer. Rules are joined by commas; `live_hits` are those that decided.

    `verdict` is `error` where it could not be asked; then it says nothing else.
    """

    transfer_id: str
    ruleset: int
    verdict: ShadowVerdict
    code: str = ""
    points: int = 0
    hits: str = ""
    muted: str = ""
    errors: str = ""
    live_hits: str = ""


class Dropped(NamedTuple):
    """Decisions of an hour that a rule set will not judge: the key under which they are counted."""

    hour: datetime
    ruleset: int
    live_verdict: str


async def keep_shadow_decisions(
    connection: asyncpg.Connection, said: Sequence[NewShadowDecision], *, lane: int
) -> None:
    """Keep and count, in this lane, what rule sets would have decided on stored decisions. One statement.

    Idempotent by: rule set and decision.
    """
    await connection.execute(
        _KEEP,
        [one.transfer_id for one in said],
        [one.ruleset for one in said],
        [one.verdict for one in said],
        [one.code for one in said],
        [one.points for one in said],
        [one.hits for one in said],
        [one.muted for one in said],
        [one.errors for one in said],
        [one.live_hits for one in said],
        lane,
    )


async def count_dropped(
    connection: asyncpg.Connection, dropped: Mapping[Dropped, Collection[int]], *, lane: int
) -> None:
    """Add to the counts what is not judged: key → (decisions, US cents). One statement; not idempotent."""
    decisions, usd_minor = zip(*dropped.values(), strict=True)
    await connection.execute(
        _COUNT_DROPPED,
        [key.hour for key in dropped],
        [key.ruleset for key in dropped],
        [key.live_verdict for key in dropped],
        decisions,
        usd_minor,
        lane,
    )
