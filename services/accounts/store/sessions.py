"""Sessions in and out of `accounts.sessions`. The database knows a refresh token only by its SHA-256.

Whoever writes here has locked the customer first, so that nothing of a session begins while it is being ended.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.ids import is_id
from services.accounts.domain.session import Caller, Proof, Session
from services.accounts.store.tables import SESSIONS


async def insert_session(connection: AsyncConnection, session: Session, refresh_hash: bytes) -> None:
    """Store a fresh session."""
    await connection.execute(
        insert(SESSIONS).values(
            session_id=session.session_id,
            user_id=session.user_id,
            family_id=session.family_id,
            refresh_hash=refresh_hash,
            begun_at=session.begun_at,
            issued_at=session.issued_at,
            expires_at=session.expires_at,
            proven_at=session.proof.at,
            factors=sorted(session.proof.factors),
            address=session.caller.address,
            user_agent=session.caller.user_agent,
        )
    )


async def find_session(connection: AsyncConnection, refresh_hash: bytes) -> Session | None:
    """Return the session of the token, unlocked."""
    row = (await connection.execute(select(SESSIONS).where(SESSIONS.c.refresh_hash == refresh_hash))).first()
    return _session(row) if row else None


async def read_live_sessions(
    connection: AsyncConnection, user_id: str, *, now: datetime, before: str | None = None, limit: int
) -> Sequence[Session]:
    """Return the newest session of each log-in that goes on, newest log-in first, behind the family `before`."""
    statement = select(SESSIONS).where(SESSIONS.c.user_id == user_id, *_live(now))
    if before is not None:
        statement = statement.where(SESSIONS.c.family_id < before)
    rows = await connection.execute(statement.order_by(SESSIONS.c.family_id.desc()).limit(limit))
    return [_session(row) for row in rows]


async def read_stalest(connection: AsyncConnection, user_id: str, *, now: datetime, beyond: int) -> Sequence[str]:
    """Return the families that go on beyond so many, those used least lately."""
    statement = select(SESSIONS.c.family_id).where(SESSIONS.c.user_id == user_id, *_live(now))
    statement = statement.order_by(SESSIONS.c.issued_at.desc(), SESSIONS.c.session_id.desc()).offset(beyond)
    return [row.family_id for row in await connection.execute(statement)]


async def mark_rotated(connection: AsyncConnection, session_id: str, now: datetime) -> None:
    """Note that the token was exchanged for its successor."""
    await connection.execute(update(SESSIONS).where(SESSIONS.c.session_id == session_id).values(rotated_at=now))


async def find_live_session(
    connection: AsyncConnection, user_id: str, family_id: str, *, now: datetime
) -> Session | None:
    """Return the newest session of this log-in of the customer, if it goes on."""
    if not is_id(family_id):
        return None
    of_family = (SESSIONS.c.user_id == user_id, SESSIONS.c.family_id == family_id, *_live(now))
    row = (await connection.execute(select(SESSIONS).where(*of_family))).first()
    return _session(row) if row else None


async def update_proof(connection: AsyncConnection, session_id: str, proof: Proof) -> None:
    """Store when and how the person proved himself last."""
    statement = update(SESSIONS).where(SESSIONS.c.session_id == session_id)
    await connection.execute(statement.values(proven_at=proof.at, factors=sorted(proof.factors)))


async def revoke_families(
    connection: AsyncConnection,
    user_id: str,
    *,
    now: datetime,
    only: Sequence[str] | None = None,
    keep: str | None = None,
) -> Sequence[str]:
    """End log-ins of the customer with everything that followed, and return which: all, `only` these, or not `keep`."""
    statement = update(SESSIONS).where(SESSIONS.c.user_id == user_id, SESSIONS.c.revoked_at.is_(None))
    if only is not None:
        statement = statement.where(SESSIONS.c.family_id.in_([family_id for family_id in only if is_id(family_id)]))
    if keep is not None and is_id(keep):
        statement = statement.where(SESSIONS.c.family_id != keep)
    ended = statement.values(revoked_at=now).returning(
        SESSIONS.c.family_id, SESSIONS.c.rotated_at, SESSIONS.c.expires_at
    )
    rows = await connection.execute(ended)
    return sorted(row.family_id for row in rows if row.rotated_at is None and row.expires_at > now)


async def delete_expired_sessions(connection: AsyncConnection, before: datetime, limit: int) -> int:
    """Forget sessions that expired before the moment, `limit` at most, and return how many."""
    expired = select(SESSIONS.c.session_id).where(SESSIONS.c.expires_at < before).order_by(SESSIONS.c.expires_at)
    statement = delete(SESSIONS).where(SESSIONS.c.session_id.in_(expired.limit(limit).scalar_subquery()))
    return (await connection.execute(statement)).rowcount


def _live(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return SESSIONS.c.rotated_at.is_(None), SESSIONS.c.revoked_at.is_(None), SESSIONS.c.expires_at > now


def _session(row: Row[*tuple[Any, ...]]) -> Session:
    return Session(
        session_id=row.session_id,
        user_id=row.user_id,
        family_id=row.family_id,
        begun_at=row.begun_at,
        issued_at=row.issued_at,
        expires_at=row.expires_at,
        proof=Proof(row.proven_at, frozenset(row.factors)),
        caller=Caller(row.address, row.user_agent),
        rotated_at=row.rotated_at,
        revoked_at=row.revoked_at,
    )
