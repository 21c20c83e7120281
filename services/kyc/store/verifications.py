"""Verifications in and out of `kyc.verifications`, and the event that goes with every change."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Row, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.errors import Conflict, NotFound
from libs.common.ids import is_id
from libs.common.personal.sealing import Sealer, sealer_of
from services.kyc.domain.review import Claim, Risk
from services.kyc.domain.verification import Action, Application, State, Status, Verification
from services.kyc.store.tables import VERIFICATION_EVENTS, VERIFICATIONS

_ROW: Final = VERIFICATIONS.c
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Application).decode


async def find_verification(connection: AsyncConnection, user_id: str) -> Verification | None:
    """Return the customer's verification, unlocked; None for somebody who never applied."""
    row = (await connection.execute(select(VERIFICATIONS).where(_ROW.user_id == user_id))).first()
    return _verification(connection, row) if row else None


async def lock_verification(connection: AsyncConnection, user_id: str) -> Verification | None:
    """Return the customer's verification and keep others from changing it, or making it, until the commit."""
    if not is_id(user_id):
        return None
    # Somebody without a verification has no row to lock: he would apply, and be approved, beside what another request
    # of his has begun to do without one.
    key = func.hashtextextended(f"kyc.verifications\n{user_id}", 0)
    await connection.execute(select(func.pg_advisory_xact_lock(key)))
    row = (await connection.execute(select(VERIFICATIONS).where(_ROW.user_id == user_id).with_for_update())).first()
    return _verification(connection, row) if row else None


async def lock_applicant(connection: AsyncConnection, user_id: str) -> Verification:
    """Return the verification of somebody who has applied, locked. Raises: NotFound `application_not_found`."""
    verification = await lock_verification(connection, user_id)
    if verification is None:
        raise NotFound("application_not_found", "Nobody with this id has applied.")
    return verification


async def save_verification(
    connection: AsyncConnection, verification: Verification, action: Action, *, before: Status, actor_id: str
) -> None:
    """Store the state that this action led to over the version right before it, and its event.

    The caller has locked the verification. Raises: Conflict `application_exists` when the version before is no longer
    there, which only somebody who has not can bring about.
    """
    values = {
        "user_id": verification.user_id,
        "status": verification.state.status,
        "tier": verification.state.tier,
        "version": verification.state.version,
        **_sealed(sealer_of(connection), verification.user_id, verification.application),
        "submitted_at": verification.submitted_at,
        "decided_at": verification.decided_at,
        "decided_by": verification.decided_by,
        "reason": verification.reason,
        "changed_at": verification.changed_at,
        "kept_tier": verification.state.kept_tier,
        "may_retry": verification.state.may_retry,
        "rejection_code": verification.rejection_code,
        "needs": list(verification.needs),
        "retry_at": verification.retry_at,
        "requested_tier": verification.state.requested_tier,
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
            action=action,
            tier=verification.state.tier,
            code=verification.rejection_code,
            requested_tier=verification.state.requested_tier,
        )
    )


async def erase_applications(connection: AsyncConnection, user_ids: Sequence[str], now: datetime) -> None:
    """Destroy the keys of what these customers applied with; their verifications stay as decided."""
    columns = ("personal_key", "application_sealed", "full_name", "birth_date", "country")
    statement = update(VERIFICATIONS).where(_ROW.user_id.in_(user_ids), _ROW.erased_at.is_(None))
    await connection.execute(statement.values({**dict.fromkeys(columns), "erased_at": now}))


async def seal_stored_applications(connection: AsyncConnection, limit: int) -> int:
    """Seal applications that were stored in plain text before, and return how many that were."""
    plain = select(_ROW.user_id, _ROW.full_name, _ROW.birth_date, _ROW.country).where(_ROW.full_name.is_not(None))
    rows = (await connection.execute(plain.limit(limit).with_for_update())).all()
    for row in rows:
        application = Application(full_name=row.full_name, birth_date=row.birth_date, country=row.country)
        values = _sealed(sealer_of(connection), row.user_id, application)
        values |= dict.fromkeys(("full_name", "birth_date", "country"))
        await connection.execute(update(VERIFICATIONS).where(_ROW.user_id == row.user_id).values(values))
    return len(rows)


async def read_changed_verifications(
    connection: AsyncConnection, after: tuple[datetime, str], limit: int
) -> Sequence[Verification]:
    """Return a page of verifications behind (changed_at, user_id), oldest change first."""
    statement = select(VERIFICATIONS).where(tuple_(_ROW.changed_at, _ROW.user_id) > after)
    statement = statement.order_by(_ROW.changed_at, _ROW.user_id).limit(limit)
    return [_verification(connection, row) for row in await connection.execute(statement)]


def _sealed(sealer: Sealer, user_id: str, application: Application | None) -> dict[str, Any]:
    """Return the columns of an application, sealed under a fresh key each time: nothing else is under the old one."""
    if application is None:
        return {"personal_key": None, "application_sealed": None}
    key = sealer.new_key(user_id)
    text = _encode(application).decode()
    return {"personal_key": key, "application_sealed": sealer.seal(key, user_id, "application", text)}


def _verification(connection: AsyncConnection, row: Row[*tuple[Any, ...]]) -> Verification:
    application = None
    if row.application_sealed is not None:
        text = sealer_of(connection).open(row.personal_key, row.user_id, "application", row.application_sealed)
        application = _decode(text)
    return Verification(
        user_id=row.user_id,
        state=State(
            status=row.status,
            tier=row.tier,
            version=row.version,
            kept_tier=row.kept_tier,
            may_retry=row.may_retry,
            requested_tier=row.requested_tier,
        ),
        application=application,
        submitted_at=row.submitted_at,
        decided_at=row.decided_at,
        decided_by=row.decided_by,
        reason=row.reason,
        changed_at=row.changed_at,
        rejection_code=row.rejection_code,
        needs=tuple(row.needs),
        claim=Claim(row.claimed_by, row.claimed_until) if row.claimed_by else None,
        risk=Risk(row.high_risk, row.risk_set_by or ""),
        retry_at=row.retry_at,
    )
