"""`fraud.outcome_questions`: of which slots the outcome was asked for, and how often."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import asyncpg

_DAY: Final = timedelta(hours=24)
KEPT_FOR: Final = timedelta(hours=25)
"""No slot counts for longer than a day."""

# What was posted is known without asking wherever somebody else was paid: the watch keeps these payments. NOT IN, over
# one payer, lets PostgreSQL hash them once; the cost grows with his slots, not with their square.
_OPEN: Final = """
    SELECT slot.transfer_id::text, slot.taken_at, coalesce(q.times, 0), q.asked_at
    FROM (
        SELECT d.transfer_id, d.decided_at AS taken_at FROM fraud.decisions d
        WHERE d.user_id = $1::uuid AND d.decided_at > $2 AND d.verdict <> 'block'
        UNION ALL
        SELECT l.transfer_id, l.taken_at FROM fraud.late_slots l
        WHERE l.user_id = $1::uuid AND l.taken_at > $2
    ) slot
    LEFT JOIN fraud.outcome_questions q ON q.transfer_id = slot.transfer_id
    WHERE slot.transfer_id NOT IN (
            SELECT e.transfer_id FROM fraud.aml_edges e WHERE e.payer_id = $1::uuid AND e.posted_at > $2)
        AND NOT EXISTS (SELECT FROM fraud.limit_releases r WHERE r.transfer_id = slot.transfer_id)
        AND coalesce(q.times, 0) < $3
    ORDER BY coalesce(q.times, 0), slot.taken_at
    LIMIT $4
"""

# Whoever else asks at the same time has counted already: then it is his question.
_NOTE: Final = """
    INSERT INTO fraud.outcome_questions AS q (transfer_id, times, asked_at)
    SELECT asked.transfer_id, asked.times + 1, $3
    FROM unnest($1::uuid[], $2::smallint[]) AS asked (transfer_id, times)
    ORDER BY asked.transfer_id
    ON CONFLICT (transfer_id) DO UPDATE SET times = excluded.times, asked_at = excluded.asked_at
    WHERE q.times = excluded.times - 1
    RETURNING q.transfer_id::text
"""

_FORGET: Final = """
    DELETE FROM fraud.outcome_questions WHERE transfer_id = ANY(ARRAY(
        SELECT transfer_id FROM fraud.outcome_questions WHERE asked_at < $1 ORDER BY asked_at LIMIT $2))
"""


class OpenSlot(NamedTuple):
    """A slot that counts, of which nobody here has heard that it was posted or came to nothing."""

    transfer_id: str
    taken_at: datetime
    times: int
    asked_at: datetime | None


async def find_open_slots(
    connection: asyncpg.Connection, user_id: str, now: datetime, *, times_max: int, limit: int
) -> list[OpenSlot]:
    """Return open slots of a payer asked about fewer than `times_max` times; the least asked, oldest first."""
    rows = await connection.fetch(_OPEN, user_id, now - _DAY, times_max, limit)
    return [OpenSlot(*row) for row in rows]


async def note_asked(connection: asyncpg.Connection, slots: Sequence[OpenSlot], now: datetime) -> list[str]:
    """Count a question about each of these; return the transfers that nobody else has asked about meanwhile.

    Locks: the questions, in order of their ids.
    """
    rows = await connection.fetch(_NOTE, [slot.transfer_id for slot in slots], [slot.times for slot in slots], now)
    return [row[0] for row in rows]


async def forget_questions(connection: asyncpg.Connection, *, asked_before: datetime, limit: int) -> None:
    """Delete a page of questions whose slots count no more."""
    await connection.execute(_FORGET, asked_before, limit)
