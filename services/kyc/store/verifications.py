"""Verifications in and out of `kyc.verifications`, and the event that goes with every change."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.errors import Conflict
from libs.common.ids import is_id
from services.kyc.domain.verification import Application, State, Status, Verification
from services.kyc.store.tables import VERIFICATION_EVENTS, VERIFICATIONS

_ROW: Final = VERIFICATIONS.c


async def find_verification(connection: AsyncConnection, user_id: str) -> Verification | None:
    """Return the customer's verification, unlocked; None for somebody who never applied."""
    row = (await connection.execute(select(VERIFICATIONS).where(_ROW.user_id == user_id))).first()
    return _verification(row) if row else None


async def lock_verification(connection: AsyncConnection, user_id: str) -> Verification | None:
    """Return the customer's verification and keep others from changing it until the commit."""
    if not is_id(user_id):
        return None
    row = (await connection.execute(select(VERIFICATIONS).where(_ROW.user_id == user_id).with_for_update())).first()
    return _verification(row) if row else None


async def save_verification(
    connection: AsyncConnection, verification: Verification, *, before: Status, actor_id: str
) -> None:
    """Store the new state over the version right before it, and its event.

    Raises: Conflict `application_exists` when the version before is no longer there, which only two first
    applications at once can bring about: every later state is locked before it is decided.
    """
    values = {
        "user_id": verification.user_id,
        "status": verification.state.status,
        "tier": verification.state.tier,
        "version": verification.state.version,
        "full_name": verification.application.full_name,
        "birth_date": verification.application.birth_date,
        "country": verification.application.country,
        "submitted_at": verification.submitted_at,
        "decided_at": verification.decided_at,
        "decided_by": verification.decided_by,
        "reason": verification.reason,
        "changed_at": verification.changed_at,
    }
    statement = (
        insert(VERIFICATIONS)
        .values(values)
        .on_conflict_do_update(
            index_elements=[_ROW.user_id], set_=values, where=_ROW.version == verification.state.version - 1
        )
        .returning(_ROW.version)
    )
    if (await connection.execute(statement)).first() is None:
        raise Conflict("application_exists", "There is an application already; see its status.")
    await connection.execute(
        insert(VERIFICATION_EVENTS).values(
            user_id=verification.user_id,
            version=verification.state.version,
            from_status=before,
            to_status=verification.state.status,
            actor_id=actor_id,
            reason=verification.reason,
            at=verification.changed_at,
        )
    )


async def read_changed_verifications(
    connection: AsyncConnection, after: tuple[datetime, str], limit: int
) -> Sequence[Verification]:
    """Return a page of verifications behind (changed_at, user_id), oldest change first."""
    statement = select(VERIFICATIONS).where(tuple_(_ROW.changed_at, _ROW.user_id) > after)
    statement = statement.order_by(_ROW.changed_at, _ROW.user_id).limit(limit)
    return [_verification(row) for row in await connection.execute(statement)]


def _verification(row: Row[*tuple[Any, ...]]) -> Verification:
    return Verification(
        user_id=row.user_id,
        state=State(status=row.status, tier=row.tier, version=row.version),
        application=Application(full_name=row.full_name, birth_date=row.birth_date, country=row.country),
        submitted_at=row.submitted_at,
        decided_at=row.decided_at,
        decided_by=row.decided_by,
        reason=row.reason,
        changed_at=row.changed_at,
    )
