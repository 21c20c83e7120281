"""`gateway.webhook_deliveries`: what is to be sent to each webhook, and what came of it.

Rows are written with the events themselves (`events.py`), or by a replay. Of one resource only the oldest pending row
is ever due: the others wait for it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg

from services.gateway.domain.webhooks import Attempt, Delivery

_DUE: Final = """
SELECT d.position, e.event_id::text, e.payload, d.attempts, d.first_attempt_at
FROM gateway.webhook_deliveries d JOIN gateway.events e USING (position)
WHERE d.webhook_id = $1::uuid AND d.status = 'pending' AND d.next_attempt_at <= $2 AND NOT EXISTS (
    SELECT 1 FROM gateway.webhook_deliveries b
    WHERE b.webhook_id = d.webhook_id AND b.resource_id = d.resource_id AND b.status = 'pending'
        AND b.position < d.position)
ORDER BY d.position LIMIT $3
"""
_NOTE: Final = """
UPDATE gateway.webhook_deliveries SET status = $3, attempts = attempts + 1, last_attempt_at = $4,
    first_attempt_at = coalesce(first_attempt_at, $4), next_attempt_at = coalesce($5, next_attempt_at),
    response_status = $6, failure = $7
WHERE webhook_id = $1::uuid AND position = $2 AND status = 'pending'
"""
# Those that wait for one that failed need not be looked at before it is tried again.
_POSTPONE: Final = """
UPDATE gateway.webhook_deliveries d SET next_attempt_at = greatest(d.next_attempt_at, $3)
FROM gateway.webhook_deliveries head
WHERE head.webhook_id = $1::uuid AND head.position = $2 AND d.webhook_id = head.webhook_id
    AND d.resource_id = head.resource_id AND d.position > head.position AND d.status = 'pending'
"""
_RESUME: Final = """
UPDATE gateway.webhook_deliveries SET status = 'pending', attempts = 0, first_attempt_at = NULL, next_attempt_at = $2
WHERE webhook_id = $1::uuid AND status IN ('pending', 'failed')
"""
_PAGE: Final = """
SELECT d.position, e.event_id::text, e.type, e.resource_id::text, e.occurred_at, d.status, d.attempts,
    d.first_attempt_at, d.last_attempt_at, CASE d.status WHEN 'pending' THEN d.next_attempt_at END, d.response_status,
    d.failure
FROM gateway.webhook_deliveries d JOIN gateway.events e USING (position)
WHERE d.webhook_id = $1::uuid AND d.position < $2 AND ($3::text IS NULL OR d.status = $3)
ORDER BY d.position DESC LIMIT $4
"""
_REPLAY: Final = """
WITH chosen AS (
    SELECT e.position, e.resource_id FROM gateway.events e
    WHERE e.user_id = $2::uuid AND ($3::uuid IS NULL OR e.event_id = $3) AND e.occurred_at >= $4 AND e.occurred_at < $5
        AND e.type <> 'webhook.test' AND ($3::uuid IS NOT NULL OR $6::text[] = '{}' OR e.type = ANY($6::text[]))
    ORDER BY e.position LIMIT $7)
INSERT INTO gateway.webhook_deliveries AS d (webhook_id, position, resource_id, next_attempt_at)
SELECT $1::uuid, position, resource_id, $8 FROM chosen
ON CONFLICT ON CONSTRAINT webhook_deliveries_pkey DO UPDATE
SET status = 'pending', attempts = 0, first_attempt_at = NULL, next_attempt_at = EXCLUDED.next_attempt_at
RETURNING 1
"""
_QUEUE: Final = """
INSERT INTO gateway.webhook_deliveries (webhook_id, position, resource_id, next_attempt_at)
SELECT $1::uuid, position, resource_id, $3 FROM gateway.events WHERE user_id = $4::uuid AND event_id = $2::uuid
"""


class DueDelivery(NamedTuple):
    """An event that is to be sent now."""

    position: int
    event_id: str
    payload: bytes
    attempts: int
    first_attempt_at: datetime | None


async def load_due(
    connection: asyncpg.Connection, webhook_id: str, now: datetime, *, limit: int
) -> Sequence[DueDelivery]:
    """Return what is due, at most one event of a resource, in their order."""
    return [DueDelivery(*row) for row in await connection.fetch(_DUE, webhook_id, now, limit)]


async def note_attempt(
    connection: asyncpg.Connection,
    webhook_id: str,
    position: int,
    attempt: Attempt,
    now: datetime,
    *,
    again_at: datetime | None,
) -> None:
    """Note what came of it; what was not taken is tried again then, and never when there is no such moment."""
    status = "delivered" if attempt.is_taken() else "pending" if again_at else "failed"
    await connection.execute(
        _NOTE, webhook_id, position, status, now, again_at, attempt.response_status, attempt.failure
    )
    if again_at:
        await connection.execute(_POSTPONE, webhook_id, position, again_at)


async def resume_deliveries(connection: asyncpg.Connection, webhook_id: str, now: datetime) -> None:
    """Begin anew with all that was not taken."""
    await connection.execute(_RESUME, webhook_id, now)


async def load_deliveries(
    connection: asyncpg.Connection, webhook_id: str, *, before: int, status: str | None, limit: int
) -> Sequence[Delivery]:
    """Return a page of the log, newest events first."""
    return [Delivery(*row) for row in await connection.fetch(_PAGE, webhook_id, before, status, limit)]


async def replay_deliveries(  # noqa: PLR0913 -- each narrows the choice
    connection: asyncpg.Connection,
    webhook_id: str,
    user_id: str,
    now: datetime,
    *,
    event_id: str | None,
    begins_at: datetime,
    ends_before: datetime,
    event_types: Sequence[str],
    limit: int,
) -> int:
    """Have events sent again, or for the first time: this one, or those of a time and of these types.

    Return how many.
    """
    chosen = (event_id, begins_at, ends_before, list(event_types), limit, now)
    return len(await connection.fetch(_REPLAY, webhook_id, user_id, *chosen))


async def queue_delivery(
    connection: asyncpg.Connection, webhook_id: str, event_id: str, now: datetime, user_id: str
) -> None:
    """Have one event sent to one webhook."""
    await connection.execute(_QUEUE, webhook_id, event_id, now, user_id)
