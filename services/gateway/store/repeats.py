"""Which requests are to be sent again: a short list beside the large table, filled by a mark that moves through it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from libs.common.ids import first_id_at

_COUNTED_MAX = 10_000

# Rows older than 5 s without an outcome go on the list. The mark stays 15 s behind: a row may be committed some seconds
# after its id was made. UUIDv7 sorts by time, so the primary key is the only index this needs. Ids from times to come
# were made where a clock is ahead, or was: nobody would look at them before that time.
_COLLECT = """
WITH fresh AS (
    SELECT t.transfer_id FROM gateway.transfers t
    WHERE t.transfer_id > (SELECT swept_to FROM gateway.sweep_marks) AND t.transfer_id < $1
        AND NOT EXISTS (SELECT 1 FROM gateway.outcomes o WHERE o.transfer_id = t.transfer_id)
    UNION ALL
    SELECT t.transfer_id FROM gateway.transfers t
    WHERE t.transfer_id > $3 AND NOT EXISTS (SELECT 1 FROM gateway.outcomes o WHERE o.transfer_id = t.transfer_id))
INSERT INTO gateway.repeats (transfer_id, next_send_at) SELECT transfer_id, $2 FROM fresh ON CONFLICT DO NOTHING
"""
# A mark from times to come was set by a clock that was ahead; it would hide whatever came since that was set right.
_MOVE_MARK = """
UPDATE gateway.sweep_marks SET swept_to = CASE WHEN swept_to > $2 THEN $1 ELSE greatest(swept_to, $1) END
"""
# What would wait for longer than its longest wait was put off by a clock that was ahead. This looks at the whole list,
# which holds make long, so it is no part of what is done every second.
_BRING_BACK = """
UPDATE gateway.repeats SET next_send_at = $1
WHERE next_send_at > $1::timestamptz + make_interval(secs => longest_wait_seconds + 60)
"""
_SCHEDULE = """
INSERT INTO gateway.repeats AS r (transfer_id, next_send_at, longest_wait_seconds)
SELECT id, now() + make_interval(secs => $2), $3 FROM unnest($1::uuid[]) AS id
ON CONFLICT ON CONSTRAINT repeats_pkey DO UPDATE SET longest_wait_seconds = EXCLUDED.longest_wait_seconds
WHERE r.longest_wait_seconds <> EXCLUDED.longest_wait_seconds
"""
# A caller's hold stays the frozen outcome; that it ended is told by a later state. A command's answer and the state it
# made are two messages, of which one may be lost: it is settled once that state is there, which a reversal's record is
# followed by.
_FORGET_SETTLED = """
DELETE FROM gateway.repeats r USING gateway.outcomes o
WHERE o.transfer_id = r.transfer_id AND r.next_send_at <= $1
    AND (o.status NOT IN ('held', 'parked') OR EXISTS (
        SELECT 1 FROM gateway.later_states s WHERE s.transfer_id = r.transfer_id AND s.status <> 'held'))
    AND NOT EXISTS (
        SELECT 1 FROM gateway.commands c
        WHERE c.command_id = r.transfer_id AND c.scope <> 'fee-schedules' AND o.status IN ('done', 'posted')
            AND NOT EXISTS (
                SELECT 1 FROM gateway.later_states s WHERE s.transfer_id = c.subject_id
                    AND s.journal_index = o.journal_index + CASE c.scope WHEN 'reversals' THEN 1 ELSE 0 END)
            AND NOT EXISTS (
                SELECT 1 FROM gateway.account_states a
                WHERE a.account_id = c.subject_id AND a.journal_index = o.journal_index))
"""
# The wait doubles from 5 s to a minute, for a caller's hold to an hour. Taking a page and putting it off is one
# statement, so that two processes never take the same page. A batch goes out whole, so its transfers on the next page
# are taken with it: they stand together in this order, and a page grows by less than one batch.
_TAKE_PAGE = """
WITH page AS (
    SELECT r.transfer_id FROM gateway.repeats r
    WHERE r.next_send_at <= $1
    ORDER BY r.next_send_at, r.transfer_id LIMIT $2 FOR UPDATE SKIP LOCKED),
whole AS (
    SELECT page.transfer_id FROM page
    UNION
    SELECT mate.transfer_id FROM page JOIN gateway.transfers t USING (transfer_id)
    JOIN gateway.transfers mate ON mate.batch_id = t.batch_id),
taken AS (
    UPDATE gateway.repeats r SET attempts = r.attempts + 1,
        next_send_at = $1 + make_interval(secs => least(r.longest_wait_seconds, 5 * power(2, least(r.attempts, 10))))
    FROM whole WHERE r.transfer_id = whole.transfer_id RETURNING r.transfer_id)
SELECT t.transfer_id::text, t.principal_id::text, t.batch_id::text, t.command, ''
FROM taken JOIN gateway.transfers t USING (transfer_id)
UNION ALL
SELECT c.command_id::text, c.subject_id::text, NULL, c.message, c.scope
FROM taken JOIN gateway.commands c ON c.command_id = taken.transfer_id
ORDER BY 1
"""
_UNDECIDED = """
WITH undecided AS (
    SELECT r.transfer_id FROM gateway.repeats r
    WHERE NOT EXISTS (SELECT 1 FROM gateway.outcomes o WHERE o.transfer_id = r.transfer_id)
    ORDER BY r.transfer_id LIMIT $1)
SELECT (SELECT transfer_id::text FROM undecided ORDER BY transfer_id LIMIT 1), (SELECT count(*) FROM undecided)
"""
_BATCH = "SELECT t.command FROM gateway.transfers t WHERE t.batch_id = $1 ORDER BY t.batch_position"


@dataclass(slots=True)
class DueRequest:
    """A request to be sent again, under the key it has on the bus; `scope` is a command's, empty for a transfer."""

    transfer_id: str
    key: str
    batch_id: str | None
    command: bytes
    scope: str


async def collect_unsettled(
    connection: asyncpg.Connection, *, older_than_id: str, mark_to_id: str, ahead_of_id: str, now: datetime
) -> None:
    """Put requests without an outcome on the list and move the mark; ids are bounds of UUIDv7 time."""
    await connection.execute(_COLLECT, older_than_id, now, ahead_of_id)
    await connection.execute(_MOVE_MARK, mark_to_id, first_id_at(now))
    await connection.execute(_BRING_BACK, now)


async def schedule_repeats(
    connection: asyncpg.Connection, transfer_ids: Sequence[str], *, after_seconds: float, longest_wait_seconds: int
) -> None:
    """Put these on the list, to be sent again after so many seconds, then in growing waits up to the longest."""
    await connection.execute(_SCHEDULE, transfer_ids, after_seconds, longest_wait_seconds)


async def take_due(connection: asyncpg.Connection, now: object, page: int) -> list[DueRequest]:
    """Forget what is settled, take up to a page of what is due and put it off."""
    await connection.execute(_FORGET_SETTLED, now)
    return [DueRequest(*row) for row in await connection.fetch(_TAKE_PAGE, now, page)]


async def find_undecided(connection: asyncpg.Connection) -> tuple[str | None, int]:
    """Return (the oldest transfer on the list that has no outcome at all, how many there are, counted to 10,000)."""
    oldest, number = await connection.fetchrow(_UNDECIDED, _COUNTED_MAX)
    return oldest, number


async def load_batch_commands(connection: asyncpg.Connection, batch_id: str) -> list[bytes]:
    """Return an atomic batch's commands in their order."""
    return [row[0] for row in await connection.fetch(_BATCH, batch_id)]
