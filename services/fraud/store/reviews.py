"""`fraud.reviews`: transfers that people decide on, and `fraud.review_events`: what was done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import asyncpg

from libs.common.ids import new_id
from services.fraud.domain.reviews import DUE_AFTER, Review, ReviewStatus, priority_of

EventKind = Literal["claimed", "unclaimed", "commented", "approved_once", "approved", "rejected", "expired", "ended"]

_INSERT: Final = """
    INSERT INTO fraud.reviews (transfer_id, payer_id, parties, usd_minor, priority, opened_at, due_at)
    SELECT r.transfer_id, r.payer_id, string_to_array(r.parties, ',')::uuid[], r.usd_minor, r.priority, r.opened_at,
           r.due_at
    FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::timestamptz[], $7::timestamptz[])
        AS r (transfer_id, payer_id, parties, usd_minor, priority, opened_at, due_at)
"""

_LOCK: Final = """
    SELECT transfer_id::text, status, parties::text[], usd_minor, claimed_by::text, claimed_until,
           CASE WHEN NOT fraud.is_void(first_approved_by::text, first_approved_at) THEN first_approved_by::text END
    FROM fraud.reviews WHERE transfer_id = $1::uuid FOR UPDATE
"""

_CLAIM: Final = "UPDATE fraud.reviews SET claimed_by = $2::uuid, claimed_until = $3 WHERE transfer_id = $1::uuid"

# The first of two gives it up: it is for somebody else now.
_APPROVE_ONCE: Final = """
    UPDATE fraud.reviews SET first_approved_by = $2::uuid, first_approved_at = $3, claimed_by = NULL,
        claimed_until = NULL
    WHERE transfer_id = $1::uuid
"""

_CLOSE: Final = """
    UPDATE fraud.reviews r SET status = $2, decided_by = $3::uuid, decided_at = $4, claimed_by = NULL,
        claimed_until = NULL
    FROM unnest($1::uuid[]) AS asked (transfer_id)
    WHERE r.transfer_id = asked.transfer_id AND r.status = 'open'
    RETURNING r.transfer_id::text
"""

_NOTE: Final = """
    INSERT INTO fraud.review_events (event_id, transfer_id, kind, actor_id, text, at)
    SELECT e.event_id, e.transfer_id, $3, $4::uuid, e.text, $6
    FROM unnest($1::uuid[], $2::uuid[], $5::text[]) AS e (event_id, transfer_id, text)
"""

_COMMENTS: Final = """
    SELECT count(*) FROM fraud.review_events WHERE transfer_id = $1::uuid AND kind = 'commented'
"""

_OVERDUE: Final = """
    SELECT transfer_id::text FROM fraud.reviews WHERE status = 'open' AND due_at <= $1 ORDER BY due_at LIMIT $2
"""

_COUNT: Final = """
    SELECT count(*), count(*) FILTER (WHERE due_at <= $1), min(opened_at) FROM fraud.reviews WHERE status = 'open'
"""


@dataclass(frozen=True, slots=True)
class NewReview:
    """A held transfer that people are to decide on. `parties` are payer, payees and whoever asked for it."""

    transfer_id: str
    payer_id: str
    parties: Sequence[str]
    usd_minor: int
    opened_at: datetime


async def open_reviews(connection: asyncpg.Connection, reviews: Sequence[NewReview]) -> None:
    """Queue transfers whose hold waits for a review, in the transaction that holds them."""
    priorities = [priority_of(review.usd_minor) for review in reviews]
    await connection.execute(
        _INSERT,
        [review.transfer_id for review in reviews],
        [review.payer_id for review in reviews],
        [",".join(dict.fromkeys(review.parties)) for review in reviews],
        [review.usd_minor for review in reviews],
        priorities,
        [review.opened_at for review in reviews],
        [review.opened_at + DUE_AFTER[priority] for review, priority in zip(reviews, priorities, strict=True)],
    )


async def lock_review(connection: asyncpg.Connection, transfer_id: str) -> Review | None:
    """Return the review of a transfer, None if it has none. Locks: it; its hold goes before."""
    row = await connection.fetchrow(_LOCK, transfer_id)
    return None if row is None else Review(*row)


async def claim_review(
    connection: asyncpg.Connection, transfer_id: str, by: str | None, until: datetime | None
) -> None:
    """Give a locked review to somebody until then, or to nobody."""
    await connection.execute(_CLAIM, transfer_id, by, until)


async def approve_once(connection: asyncpg.Connection, transfer_id: str, by: str, at: datetime) -> None:
    """Keep the first of two approvals of a locked review, and let go of it."""
    await connection.execute(_APPROVE_ONCE, transfer_id, by, at)


async def close_reviews(
    connection: asyncpg.Connection, transfer_ids: Sequence[str], status: ReviewStatus, by: str | None, at: datetime
) -> list[str]:
    """End those of these that are open; returns which. Locks: the reviews."""
    return [row[0] for row in await connection.fetch(_CLOSE, transfer_ids, status, by, at)]


async def end_reviews(connection: asyncpg.Connection, codes: Mapping[str, str], at: datetime) -> None:
    """End the open ones of these reviews, transfer_id → why it cannot go on. Idempotent by: their status."""
    ended = await close_reviews(connection, list(codes), "ended", None, at)
    if ended:
        await note_events(connection, {transfer_id: codes[transfer_id] for transfer_id in ended}, "ended", None, at)


async def note_events(
    connection: asyncpg.Connection, texts: Mapping[str, str], kind: EventKind, actor_id: str | None, at: datetime
) -> None:
    """Keep what was done about reviews, transfer_id → what was said. Nobody is the actor of what happens by itself."""
    ids = [new_id() for _ in texts]
    await connection.execute(_NOTE, ids, list(texts), kind, actor_id, list(texts.values()), at)


async def count_comments(connection: asyncpg.Connection, transfer_id: str) -> int:
    """Return how many comments a review has."""
    count: int = await connection.fetchval(_COMMENTS, transfer_id)
    return count


async def find_overdue(connection: asyncpg.Connection, *, due_before: datetime, limit: int) -> list[str]:
    """Return the open reviews that were due then or earlier, the longest due first."""
    return [row[0] for row in await connection.fetch(_OVERDUE, due_before, limit)]


async def count_open(connection: asyncpg.Connection, now: datetime) -> tuple[int, int, datetime | None]:
    """Return how many reviews are open, how many of them overdue, and when the oldest was opened."""
    count, overdue, oldest = await connection.fetchrow(_COUNT, now)
    return count, overdue, oldest
