"""The review queue as staff see it, and one review with everything that was said about it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import asyncpg

from libs.common.clock import Clock
from libs.common.db.reading import Reading
from libs.common.errors import NotFound
from services.fraud.domain.reviews import Priority, ReviewStatus, needs_two, require_outsider
from services.fraud.views.show_decision import Decision, ShowDecision

EVENTS_SHOWN_MAX: Final = 500

_COLUMNS: Final = """
    r.transfer_id::text, r.status, r.priority, r.payer_id::text, r.usd_minor, r.opened_at, r.due_at,
    CASE WHEN r.claimed_until > $1 THEN r.claimed_by::text END AS claimed_by,
    CASE WHEN r.claimed_until > $1 THEN r.claimed_until END AS claimed_until,
    CASE WHEN r.status <> 'open' OR NOT fraud.is_void(r.first_approved_by::text, r.first_approved_at)
        THEN r.first_approved_by::text END AS first_approved_by,
    CASE WHEN r.status <> 'open' OR NOT fraud.is_void(r.first_approved_by::text, r.first_approved_at)
        THEN r.first_approved_at END AS first_approved_at,
    r.decided_by::text, r.decided_at, h.reasons AS waits_for
"""
# Nobody sees that his own transfer is looked at, whatever his role.
_PAGE: Final = f"""
    SELECT {_COLUMNS} FROM fraud.reviews r JOIN fraud.holds h USING (transfer_id)
    WHERE NOT $2::uuid = ANY (r.parties) AND {{conditions}} true ORDER BY r.due_at, r.transfer_id LIMIT $3
"""  # noqa: S608 -- made of what is written here
_ONE: Final = f"""
    SELECT r.parties::text[] AS parties, {_COLUMNS} FROM fraud.reviews r JOIN fraud.holds h USING (transfer_id)
    WHERE r.transfer_id = $2::uuid
"""  # noqa: S608 -- made of what is written here
_EVENTS: Final = """
    SELECT kind, actor_id::text, text, at FROM (
        SELECT event_id, kind, actor_id, text, at FROM fraud.review_events
        WHERE transfer_id = $1::uuid ORDER BY event_id DESC LIMIT $2
    ) newest ORDER BY event_id
"""


@dataclass(frozen=True, slots=True)
class ReviewQuery:
    """Which reviews: all that is not None must be so. `claimed_by` has a claim that lasts."""

    status: ReviewStatus | None = None
    claimed_by: str | None = None
    payer_id: str | None = None
    min_usd_minor: int | None = None

    def conditions(self, now: datetime) -> dict[str, object]:
        """Return condition → value."""
        named: dict[str, object] = {
            "r.status =": self.status,
            "r.claimed_until >": None if self.claimed_by is None else now,
            "r.claimed_by =": self.claimed_by,
            "r.payer_id =": self.payer_id,
            "r.usd_minor >=": self.min_usd_minor,
        }
        return {condition: value for condition, value in named.items() if value is not None}


@dataclass(frozen=True, slots=True)
class QueuedReview:
    """A review with its age at the moment it was read; a claim that is over is not shown."""

    transfer_id: str
    status: ReviewStatus
    priority: Priority
    payer_id: str
    usd_minor: int
    opened_at: datetime
    due_at: datetime
    claimed_by: str | None
    claimed_until: datetime | None
    first_approved_by: str | None
    first_approved_at: datetime | None
    decided_by: str | None
    decided_at: datetime | None
    waits_for: list[str]
    age_seconds: int
    is_overdue: bool
    needs_two: bool


@dataclass(frozen=True, slots=True)
class ReviewEvent:
    """What somebody did about a review, or said; `actor_id` is None for what happened by itself."""

    kind: str
    actor_id: str | None
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ShownReview:
    """A review, why its transfer was held, and the newest five hundred events, in their order."""

    review: QueuedReview
    decision: Decision
    events: list[ReviewEvent]


class ShowReviews:
    """Reads reviews."""

    def __init__(self, reading: Reading, show_decision: ShowDecision, clock: Clock) -> None:
        """Use the pool, not a connection that decides."""
        self._reading = reading
        self._show_decision = show_decision
        self._clock = clock

    async def page(self, query: ReviewQuery, *, reader_id: str, after: str | None, limit: int) -> list[QueuedReview]:
        """Return reviews that others take part in, the longest due first, behind the one named. Raises: Unavailable."""
        now = self._clock()
        conditions = ""
        values: list[object] = [now, reader_id, limit]
        for condition, value in query.conditions(now).items():
            values.append(value)
            conditions += f"{condition} ${len(values)} AND "
        if after is not None:
            values.append(after)
            place = f"SELECT due_at, transfer_id FROM fraud.reviews WHERE transfer_id = ${len(values)}::uuid"  # noqa: S608 -- a number
            conditions += f"(r.due_at, r.transfer_id) > ({place}) AND "
        async with self._reading.connection() as connection:
            rows = await connection.fetch(_PAGE.format(conditions=conditions), *values)
        return [_queued(row, now) for row in rows]

    async def one(self, transfer_id: str, *, reader_id: str) -> ShownReview:
        """Return one review. Raises: NotFound `review_not_found`, Forbidden `own_transfer`, Unavailable."""
        now = self._clock()
        async with self._reading.connection() as connection:
            row = await connection.fetchrow(_ONE, now, transfer_id)
            if row is None:
                raise NotFound("review_not_found", "No transfer of this id was ever held for a review.")
            require_outsider(row["parties"], reader_id)
            events = await connection.fetch(_EVENTS, transfer_id, EVENTS_SHOWN_MAX)
        return ShownReview(
            review=_queued(row, now),
            decision=await self._show_decision(transfer_id, reader_id=reader_id),
            events=[ReviewEvent(*event) for event in events],
        )


def _queued(row: asyncpg.Record, now: datetime) -> QueuedReview:
    columns: dict[str, Any] = dict(row)
    columns.pop("parties", None)
    until = columns["decided_at"] or now
    return QueuedReview(
        **columns,
        age_seconds=max(0, int((until - columns["opened_at"]).total_seconds())),
        is_overdue=columns["status"] == "open" and columns["due_at"] <= now,
        needs_two=needs_two(columns["usd_minor"]),
    )
