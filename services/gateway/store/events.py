"""`gateway.events`, written in the order in which they become visible, for those in `gateway.event_readers`."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import asyncpg

from services.gateway.domain.events import Event

# Whoever writes holds the head until he commits: the next one's positions are higher, and visible later. A row that is
# there already leaves a gap, which nobody minds. What is to be sent to webhooks is queued in the same breath.
_INSERT = """
WITH head AS (
    UPDATE gateway.event_heads SET position = position + cardinality($1::uuid[])
    RETURNING position - cardinality($1::uuid[]) AS before),
kept AS (
    INSERT INTO gateway.events (position, event_id, user_id, type, resource_id, account_ids, occurred_at, recorded_at,
        payload)
    SELECT head.before + r.number, r.event_id, r.user_id, r.type, r.resource_id,
        string_to_array(r.account_ids, ',')::uuid[], r.occurred_at::timestamptz, $7::timestamptz, r.payload
    FROM head, unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::text[], $8::bytea[])
        WITH ORDINALITY AS r(event_id, user_id, type, resource_id, account_ids, occurred_at, payload, number)
    ON CONFLICT ON CONSTRAINT events_once DO NOTHING
    RETURNING position, user_id, type, resource_id)
INSERT INTO gateway.webhook_deliveries (webhook_id, position, resource_id, next_attempt_at)
SELECT w.webhook_id, kept.position, kept.resource_id, $7
FROM kept JOIN gateway.webhooks w ON w.user_id = kept.user_id AND w.is_enabled
    AND (w.event_types = '{}' OR kept.type = ANY(w.event_types))
WHERE kept.type <> 'webhook.test'
"""
_REGISTERED_SINCE = """
SELECT user_id::text, since_at, registered FROM gateway.event_readers WHERE registered > $1 ORDER BY registered
"""
_TOUCH = """
UPDATE gateway.event_readers SET kept_until = greatest(kept_until, $2::timestamptz)
WHERE user_id = $1::uuid RETURNING since_position
"""
_REGISTER = """
WITH head AS (UPDATE gateway.event_heads SET registered = registered + 1 RETURNING registered, position)
INSERT INTO gateway.event_readers AS r (user_id, registered, since_position, since_at, kept_until)
SELECT $1::uuid, head.registered, head.position, $2::timestamptz, $3::timestamptz FROM head
ON CONFLICT ON CONSTRAINT event_readers_pkey DO UPDATE SET kept_until = greatest(r.kept_until, EXCLUDED.kept_until)
RETURNING since_position
"""
_FORGET_READERS = """
DELETE FROM gateway.event_readers r WHERE r.kept_until < $1::timestamptz
    AND NOT EXISTS (SELECT 1 FROM gateway.webhooks w WHERE w.user_id = r.user_id)
"""
_HEAD = "SELECT position, pruned_to FROM gateway.event_heads"
_PRUNE = """
WITH oldest AS (
    SELECT position, recorded_at FROM gateway.events ORDER BY position LIMIT $2),
gone AS (
    DELETE FROM gateway.events e USING oldest o
    WHERE e.position = o.position AND o.recorded_at < $1::timestamptz RETURNING e.position)
UPDATE gateway.event_heads SET pruned_to = greatest(pruned_to, (SELECT max(position) FROM gone))
WHERE EXISTS (SELECT 1 FROM gone) RETURNING (SELECT count(*) FROM gone)
"""
_KEPT = "SELECT position, user_id::text, type, account_ids::text[], payload FROM gateway.events "
_OF_USER = _KEPT + "WHERE user_id = $1::uuid AND position > $2 AND position <= $3 ORDER BY position LIMIT $4"
_OF_USERS = _KEPT + "WHERE position > $1 AND position <= $2 AND user_id = ANY($3::uuid[]) ORDER BY position LIMIT $4"

_CLOCKS_APART: Final = timedelta(minutes=1)


class KeptEvent(NamedTuple):
    """An event with the place it has for its reader."""

    position: int
    user_id: str
    type: str
    account_ids: list[str]
    payload: bytes


class EventHead(NamedTuple):
    """The highest position that is visible, and up to which position events were deleted because of their age."""

    position: int
    pruned_to: int


class Registration(NamedTuple):
    """Somebody for whom events are kept, those since this moment."""

    user_id: str
    since_at: datetime
    registered: int


async def insert_events(connection: asyncpg.Connection, events: Sequence[Event], recorded_at: datetime) -> None:
    """Keep events in this order, each once, and queue them for their webhooks; positions are above all visible ones."""
    await connection.execute(
        _INSERT,
        [event.event_id for event in events],
        [event.user_id for event in events],
        [event.type for event in events],
        [event.resource_id for event in events],
        [",".join(event.account_ids) for event in events],
        [event.occurred_at for event in events],
        recorded_at,
        [event.payload for event in events],
    )


async def load_registrations(connection: asyncpg.Connection, beyond: int) -> list[Registration]:
    """Return who was registered later than the registration of this number, in their order."""
    return [Registration(*row) for row in await connection.fetch(_REGISTERED_SINCE, beyond)]


async def register_reader(connection: asyncpg.Connection, user_id: str, now: datetime, kept_until: datetime) -> int:
    """Have events kept for this user from now on, at least until then; return after which position all of them are.

    What happened in the minute before counts too: the ledger's clock may be behind ours.
    """
    since_position: int | None = await connection.fetchval(_TOUCH, user_id, kept_until)
    if since_position is None:
        since_position = await connection.fetchval(_REGISTER, user_id, now - _CLOCKS_APART, kept_until)
    assert since_position is not None  # noqa: S101 -- an upsert returns its row
    return since_position


async def forget_readers(connection: asyncpg.Connection, now: datetime) -> None:
    """Keep no more events for those who have no webhook and did not listen for so long that nothing is to resume."""
    await connection.execute(_FORGET_READERS, now)


async def load_head(connection: asyncpg.Connection) -> EventHead:
    """Return where the stream stands. What is read after this has every event up to its position."""
    return EventHead(*await connection.fetchrow(_HEAD))


async def delete_events(connection: asyncpg.Connection, recorded_before: datetime, *, limit: int) -> int:
    """Delete the oldest of those recorded before, `limit` at most, and note up to where; return how many."""
    return await connection.fetchval(_PRUNE, recorded_before, limit) or 0


async def load_events(
    connection: asyncpg.Connection, user_id: str, *, beyond: int, up_to: int, limit: int
) -> list[KeptEvent]:
    """Return the user's events above `beyond`, in order."""
    return [KeptEvent(*row) for row in await connection.fetch(_OF_USER, user_id, beyond, up_to, limit)]


async def load_events_of(
    connection: asyncpg.Connection, user_ids: Sequence[str], *, beyond: int, up_to: int, limit: int
) -> list[KeptEvent]:
    """Return these users' events above `beyond`, in order."""
    return [KeptEvent(*row) for row in await connection.fetch(_OF_USERS, beyond, up_to, user_ids, limit)]
