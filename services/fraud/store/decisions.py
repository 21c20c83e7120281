"""`fraud.decisions` and what became of their slots: INSERT only."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any, Final

import asyncpg
import msgspec

from libs.common.contracts.fraud import HoldReason, Verdict
from libs.common.errors import Unavailable
from services.fraud.domain.payer import Payer
from services.fraud.store.activity import INSERT_ACTIVITY, NewActivity, activity_columns
from services.fraud.store.counts import COUNT_DECISIONS, COUNT_RULES, RuleCounts, lane_of_others
from services.fraud.store.unit_of_work import Transaction
from services.fraud.store.users import ADVANCE, follow, limits_moved, next_versions
from services.fraud.store.usual_values import unless_all

_FIND: Final = """
    SELECT asked.place, d.decision_id::text, d.verdict, d.code, d.reasons, d.ruleset, d.facts, d.decided_at, d.command
    FROM unnest($1::uuid[]) WITH ORDINALITY AS asked (transfer_id, place)
    JOIN fraud.decisions d ON d.transfer_id = asked.transfer_id
"""

_INSERT: Final = f"""
    WITH said AS (
        SELECT d.transfer_id, d.decision_id, d.user_id, d.usd_minor, d.features,
               coalesce(d.decided_at, $14::timestamptz) AS decided_at, d.verdict, d.code, d.reasons, d.facts, d.command
        FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bytea[], $6::timestamptz[],
                    $9::text[], $10::text[], $11::text[], $12::bytea[], $13::bytea[])
            AS d (transfer_id, decision_id, user_id, usd_minor, features, decided_at,
                  verdict, code, reasons, facts, command)
    ),
    counted AS ({
    COUNT_DECISIONS.format(
        verdict="d.verdict",
        code="d.code",
        reasons="d.reasons",
        ruleset="$7::integer",
        lane="$8::smallint",
        how_many="count(*)",
        decisions="said d",
    )
})
    INSERT INTO fraud.decisions (transfer_id, decision_id, user_id, usd_minor, features, decided_at,
                                 verdict, code, reasons, facts, command, ruleset)
    SELECT d.transfer_id, d.decision_id, d.user_id, d.usd_minor, d.features, d.decided_at,
           d.verdict, d.code, string_to_array(d.reasons, ','), d.facts, d.command, $7
    FROM said d
"""  # noqa: S608 -- made of statements written here

# Nearly every decision is this plain: then this statement is the whole transaction, one round trip. Each array less
# spares encoding, decoding and log. The count also says who goes first: all payers are locked before anything else is
# written. If one of them has moved, or rules or lists have, nothing of the statement may stand, and nobody is there to
# roll it back: so the outbox row gets no payload, which its column refuses.
_KEEP_APPROVED_AND_SAY: Final = f"""
    WITH advanced AS ({ADVANCE} RETURNING 1),
    stands AS (
        SELECT (SELECT count(*) FROM advanced) = cardinality($1::uuid[])
            AND (SELECT version FROM fraud.screening_data WHERE only_row) = $14::bigint AS is_so
    ),
    kept AS (
        INSERT INTO fraud.decisions (transfer_id, decision_id, user_id, usd_minor, features, decided_at,
                                     verdict, code, reasons, ruleset)
        SELECT d.transfer_id, d.decision_id, d.user_id, d.usd_minor, d.features, coalesce(d.decided_at, $3),
               'approve', '', '{{}}', $10
        FROM unnest($4::uuid[], $5::uuid[], $6::uuid[], $7::bigint[], $8::bytea[], $9::timestamptz[])
            AS d (transfer_id, decision_id, user_id, usd_minor, features, decided_at)
        WHERE (SELECT is_so FROM stands)
    ),
    counted AS ({
    COUNT_DECISIONS.format(
        verdict="'approve'::text",
        code="''::text",
        reasons="''::text",
        ruleset="$10::integer",
        lane="$15::smallint",
        how_many="sum(d.decisions)",
        decisions="unnest($29::timestamptz[], $30::bigint[], $31::numeric[]) AS d (decided_at, decisions, usd_minor)"
        " WHERE (SELECT is_so FROM stands)",
    )
}),
    rules_counted AS ({
    COUNT_RULES.format(
        hours="$16",
        rules="$17",
        verdicts="$18",
        outcomes="$19",
        counts="$20",
        sums="$21",
        ruleset="$10::integer",
        lane="$15::smallint",
        only="WHERE (SELECT is_so FROM stands)",
    )
}),
    remembered AS ({INSERT_ACTIVITY.format("$22", "$23", "$24", "$25", "$26", "$27", "$28", now="$3")}
        WHERE (SELECT is_so FROM stands)),
    finished AS (DELETE FROM fraud.outbox WHERE row_id = ANY($13::uuid[]))
    INSERT INTO fraud.outbox (row_id, payload)
    SELECT $11::uuid, CASE WHEN (SELECT is_so FROM stands) THEN $12::bytea END
"""  # noqa: S608 -- made of statements written here


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """A decision as it was sent. `facts` and `command` are JSON; None where there are none, or none of its own."""

    decision_id: str
    verdict: Verdict
    code: str
    reasons: list[HoldReason]
    ruleset: int
    facts: bytes | None
    decided_at: datetime
    command: bytes | None


class NewDecision(msgspec.Struct, frozen=True, gc=False):
    """A decision to be kept. `reasons` are joined by commas; `features` is JSON."""

    transfer_id: str
    decision_id: str
    user_id: str | None
    verdict: Verdict
    code: str
    reasons: str
    usd_minor: int
    features: bytes
    facts: bytes | None
    decided_at: datetime
    command: bytes | None

    @property
    def is_plain(self) -> bool:
        """Tell whether this approves the request unchanged: nothing else is to be kept, now or later."""
        return self.verdict == "approve" and self.command is None


async def find_decisions(connection: asyncpg.Connection, transfer_ids: Sequence[str]) -> dict[str, StoredDecision]:
    """Return transfer_id → stored decision, for those decided before."""
    rows = await connection.fetch(_FIND, transfer_ids)
    return {transfer_ids[place - 1]: StoredDecision(*columns) for place, *columns in rows}


class DecidedBy(msgspec.Struct, frozen=True, gc=False):
    """What decided: the version of the live rules, and of everything that rules and lists are kept in."""

    ruleset: int
    screening_version: int


async def keep_decisions(
    transaction: Transaction,
    payers: Collection[Payer],
    decisions: Sequence[NewDecision],
    now: datetime,
    *,
    by: DecidedBy,
    lane: int,
    rule_counts: RuleCounts,
    activity: Sequence[NewActivity],
) -> None:
    """Keep decisions and all that was emitted, with the next version of each payer, provided nobody else moved him.

    `rule_counts` and `activity` are those of all these decisions; they are counted in this `lane`.

    Memory follows: the payers are then at that version.

    Commits: by its only statement where all decisions are plain and no transaction has begun; else as that one ends.
    Locks: the payers' rows, in order of their ids.
    Raises: Unavailable `limits_moved`, also where rules or lists have; `decided_elsewhere`, one of them was decided
    before. Nothing was written then;
    the caller ends the unit of work, undoes or forgets what memory took, and does the whole work again.
    """
    plain: list[NewDecision] = []
    others: list[NewDecision] = []
    for one in decisions:
        (plain if one.is_plain else others).append(one)
    plain.sort(key=_payer_first)
    if others:
        await transaction.write_together()
    try:
        with transaction.saying() as (row, finished):
            await transaction.connection.execute(
                _KEEP_APPROVED_AND_SAY,
                *next_versions(payers),
                now,
                *_common_columns(plain, now),
                by.ruleset,
                row.row_id,
                row.payload,
                finished,
                by.screening_version,
                lane,
                *rule_counts.columns(),
                *activity_columns(sorted(activity, key=attrgetter("payer_id")), now),
                *_counts_by_time(plain),
            )
        if others:
            await _insert(transaction.connection, others, now, ruleset=by.ruleset, lane=lane_of_others(lane))
    except asyncpg.NotNullViolationError as failure:
        if (failure.table_name, failure.column_name) != ("outbox", "payload"):
            raise
        raise limits_moved() from failure
    except asyncpg.UniqueViolationError as failure:
        if failure.constraint_name != "decisions_pkey":
            raise
        raise Unavailable("decided_elsewhere", "One of these was decided before or meanwhile; try again.") from failure
    follow(payers, now)


async def _insert(
    connection: asyncpg.Connection, decisions: Sequence[NewDecision], now: datetime, *, ruleset: int, lane: int
) -> None:
    await connection.execute(
        _INSERT,
        *_common_columns(decisions, now),
        ruleset,
        lane,
        [one.verdict for one in decisions],
        [one.code for one in decisions],
        [one.reasons for one in decisions],
        [one.facts for one in decisions],
        [one.command for one in decisions],
        now,
    )


def _payer_first(decision: NewDecision) -> str:
    """Return what rows are written in order of: entries of the index by payer then lie beside each other."""
    return decision.user_id or ""


def _counts_by_time(decisions: Sequence[NewDecision]) -> tuple[list[Any], ...]:
    """Return times, how many were decided at each, and what they are worth in US cents, a list each."""
    counts: dict[datetime, list[int]] = {}
    for one in decisions:
        count = counts.setdefault(one.decided_at, [0, 0])
        count[0] += 1
        count[1] += one.usd_minor
    return list(counts), [count[0] for count in counts.values()], [count[1] for count in counts.values()]


def _common_columns(decisions: Sequence[NewDecision], now: datetime) -> tuple[list[Any], ...]:
    """Return transfer_id, decision_id, user_id, usd_minor, features and decided_at (none for now), a list each."""
    return (
        [one.transfer_id for one in decisions],
        [one.decision_id for one in decisions],
        [one.user_id for one in decisions],
        [one.usd_minor for one in decisions],
        [one.features for one in decisions],
        unless_all(now, [one.decided_at for one in decisions]),
    )
