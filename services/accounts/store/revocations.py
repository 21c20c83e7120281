"""Revocations in and out of `accounts.revocations`; rows live as long as the tokens they end."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.clock import from_rfc3339, to_rfc3339
from libs.common.contracts.accounts import CredentialsRevoked
from libs.common.ids import new_id
from services.accounts.store.tables import REVOCATIONS

Place = tuple[datetime, str]
"""Where a page begins: behind (occurred_at, revocation_id)."""


async def insert_revocation(connection: AsyncConnection, revoked: CredentialsRevoked) -> None:
    """Keep one."""
    await connection.execute(
        insert(REVOCATIONS).values(
            revocation_id=new_id(),
            user_id=revoked.user_id,
            session_id=revoked.session_id or None,
            key_id=revoked.key_id or None,
            occurred_at=from_rfc3339(revoked.occurred_at),
        )
    )


async def read_revocations(
    connection: AsyncConnection, after: Place, limit: int
) -> tuple[Sequence[CredentialsRevoked], Place | None]:
    """Return a page, oldest first, and where the next one begins; None when there is none."""
    place = tuple_(REVOCATIONS.c.occurred_at, REVOCATIONS.c.revocation_id)
    statement = select(REVOCATIONS).where(place > after)
    statement = statement.order_by(REVOCATIONS.c.occurred_at, REVOCATIONS.c.revocation_id).limit(limit)
    rows = (await connection.execute(statement)).all()
    page = [
        CredentialsRevoked(
            user_id=row.user_id,
            session_id=row.session_id or "",
            key_id=row.key_id or "",
            occurred_at=to_rfc3339(row.occurred_at),
        )
        for row in rows
    ]
    return page, (rows[-1].occurred_at, rows[-1].revocation_id) if len(rows) == limit else None


async def delete_revocations(connection: AsyncConnection, before: datetime) -> None:
    """Delete what ended nothing but tokens that have run out since."""
    await connection.execute(delete(REVOCATIONS).where(REVOCATIONS.c.occurred_at < before))
