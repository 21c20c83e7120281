"""Sessions in and out of `accounts.sessions`. The database knows a refresh token only by its SHA-256."""

from datetime import datetime
from typing import Final

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.accounts.domain.session import Session
from services.accounts.store.tables import SESSIONS

_COLUMNS: Final = (
    SESSIONS.c.session_id,
    SESSIONS.c.user_id,
    SESSIONS.c.family_id,
    SESSIONS.c.issued_at,
    SESSIONS.c.expires_at,
    SESSIONS.c.rotated_at,
    SESSIONS.c.revoked_at,
)


async def insert_session(connection: AsyncConnection, session: Session, refresh_hash: bytes) -> None:
    """Store a fresh session."""
    await connection.execute(
        insert(SESSIONS).values(
            session_id=session.session_id,
            user_id=session.user_id,
            family_id=session.family_id,
            refresh_hash=refresh_hash,
            issued_at=session.issued_at,
            expires_at=session.expires_at,
        )
    )


async def lock_session(connection: AsyncConnection, refresh_hash: bytes) -> Session | None:
    """Return the session of the token; a second use of it waits here for the first."""
    statement = select(*_COLUMNS).where(SESSIONS.c.refresh_hash == refresh_hash).with_for_update()
    row = (await connection.execute(statement)).first()
    return Session(**row._mapping) if row else None  # noqa: SLF001 -- SQLAlchemy's public name for a row as a mapping


async def mark_rotated(connection: AsyncConnection, session_id: str, now: datetime) -> None:
    """Note that the token was exchanged for its successor."""
    await connection.execute(update(SESSIONS).where(SESSIONS.c.session_id == session_id).values(rotated_at=now))


async def revoke_family(connection: AsyncConnection, family_id: str, now: datetime) -> None:
    """End every session that followed from the same login."""
    statement = update(SESSIONS).where(SESSIONS.c.family_id == family_id, SESSIONS.c.revoked_at.is_(None))
    await connection.execute(statement.values(revoked_at=now))
