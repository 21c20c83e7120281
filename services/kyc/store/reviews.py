"""The reviewers' queue over `kyc.verifications`, who has taken what, and what takes two."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Boolean, Text, cast, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.ids import new_id
from services.kyc.domain.decision import Dossier
from services.kyc.domain.queued_review import PastMove, QueuedReview
from services.kyc.domain.review import Approval, Claim
from services.kyc.domain.verification import WAITING, Status
from services.kyc.store.tables import APPROVALS, RISK_CHANGES, VERIFICATION_EVENTS, VERIFICATIONS

_ROW = VERIFICATIONS.c
_WAITING = _ROW.status.in_(sorted(WAITING))


async def read_queue(
    connection: AsyncConnection, status: Status | None, *, claimed_by: str | None, now: datetime, after: int, limit: int
) -> Sequence[QueuedReview]:
    """Return a page of those in a status behind a position, the oldest change first; None: who waits for a reviewer.

    `claimed_by` is a reviewer whose claims are asked for, empty for what nobody has claimed, None for all.
    """
    columns = (_ROW.user_id, _ROW.status, _ROW.tier, _ROW.requested_tier, _ROW.version, _ROW.changed_at, _ROW.high_risk)
    statement = select(*columns, _ROW.claimed_by, _ROW.claimed_until, _ROW.queue_position)
    statement = statement.where(_WAITING if status is None else _ROW.status == status, _ROW.queue_position > after)
    if claimed_by is not None:
        is_claimed = func.coalesce(_ROW.claimed_until > now, False)
        statement = statement.where(is_claimed & (_ROW.claimed_by == claimed_by) if claimed_by else ~is_claimed)
    rows = await connection.execute(statement.order_by(_ROW.queue_position).limit(limit))
    return [
        QueuedReview(
            user_id=row.user_id,
            status=row.status,
            tier=row.tier,
            requested_tier=row.requested_tier,
            version=row.version,
            changed_at=row.changed_at,
            high_risk=row.high_risk,
            claim=Claim(row.claimed_by, row.claimed_until) if row.claimed_by else None,
            position=row.queue_position,
        )
        for row in rows
    ]


async def measure_queue(connection: AsyncConnection) -> tuple[int, datetime | None]:
    """Return how many wait for a reviewer, and since when the one who waits longest."""
    row = (await connection.execute(select(func.count(), func.min(_ROW.changed_at)).where(_WAITING))).one()
    return row[0], row[1]


async def save_claim(connection: AsyncConnection, user_id: str, claim: Claim | None) -> None:
    """Note who looks at a verification that the caller has locked; None: nobody."""
    statement = update(VERIFICATIONS).where(_ROW.user_id == user_id)
    await connection.execute(
        statement.values(
            claimed_by=claim.claimed_by if claim else None, claimed_until=claim.claimed_until if claim else None
        )
    )


async def save_risk(
    connection: AsyncConnection, user_id: str, *, is_high: bool, actor_id: str, reason: str, now: datetime
) -> None:
    """Flag an applicant whom the caller has locked, or take the flag away, and keep who did it and why."""
    statement = update(VERIFICATIONS).where(_ROW.user_id == user_id)
    await connection.execute(statement.values(high_risk=is_high, risk_set_by=actor_id))
    values = {"change_id": new_id(), "user_id": user_id, "high_risk": is_high, "actor_id": actor_id}
    await connection.execute(insert(RISK_CHANGES).values(**values, reason=reason, at=now))


async def find_approvals(connection: AsyncConnection, user_id: str, present: Dossier) -> Sequence[Approval]:
    """Return who has approved what there is now, and to which tier; whoever lost his role since counts no more."""
    found = APPROVALS.c
    is_void = func.kyc.is_void(cast(found.approved_by, Text), found.at, type_=Boolean)
    statement = select(found.approved_by, found.tier).where(
        found.user_id == user_id,
        found.version == present.version,
        found.documents_version == present.documents_version,
        ~is_void,
    )
    rows = await connection.execute(statement.order_by(found.at))
    return [Approval(row.approved_by, row.tier) for row in rows]


async def save_approval(
    connection: AsyncConnection, user_id: str, present: Dossier, approval: Approval, *, reason: str, now: datetime
) -> None:
    """Keep an approval of what there is now, that waits for a second one."""
    statement = insert(APPROVALS).values(
        user_id=user_id,
        version=present.version,
        documents_version=present.documents_version,
        approved_by=approval.approved_by,
        tier=approval.tier,
        reason=reason,
        at=now,
    )
    await connection.execute(statement)


async def find_rejections(connection: AsyncConnection, user_id: str, since: datetime) -> Sequence[datetime]:
    """Return when somebody was turned down after this moment, or a tier refused to him, in any order."""
    event = VERIFICATION_EVENTS.c
    is_refused = (event.to_status == "rejected") | (event.action == "decline")
    turned_down = select(event.at).where(event.user_id == user_id, is_refused, event.at > since)
    return list((await connection.execute(turned_down)).scalars())


async def read_past_moves(connection: AsyncConnection, user_id: str, limit: int) -> Sequence[PastMove]:
    """Return what was done with a verification, the latest first."""
    event = VERIFICATION_EVENTS.c
    statement = select(VERIFICATION_EVENTS).where(event.user_id == user_id).order_by(event.version.desc()).limit(limit)
    return [
        PastMove(
            version=row.version,
            action=row.action or "",
            status=row.to_status,
            tier=row.tier or 0,
            actor_id=row.actor_id,
            reason=row.reason,
            code=row.code,
            at=row.at,
        )
        for row in await connection.execute(statement)
    ]
