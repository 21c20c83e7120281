"""Who asked to set a new password: `accounts.password_resets`. A token is known by its SHA-256 alone."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.ids import new_id
from services.accounts.store.tables import PASSWORD_RESETS as RESETS


async def insert_reset(connection: AsyncConnection, user_id: str | None, now: datetime) -> None:
    """Note that somebody asked, for a customer or for an e-mail that is nobody's."""
    await connection.execute(insert(RESETS).values(reset_id=new_id(), user_id=user_id, asked_at=now))


async def take_asked_resets(connection: AsyncConnection, limit: int) -> Sequence[tuple[str, str | None]]:
    """Return (reset_id, user_id) of those that wait for their mail, oldest first, passing over what others took."""
    statement = select(RESETS.c.reset_id, RESETS.c.user_id).where(RESETS.c.token_hash.is_(None))
    statement = statement.order_by(RESETS.c.reset_id).limit(limit).with_for_update(skip_locked=True)
    return [(row.reset_id, row.user_id) for row in await connection.execute(statement)]


async def count_resets_mailed(connection: AsyncConnection, user_id: str, since: datetime) -> int:
    """Return how many tokens the customer was mailed since the moment."""
    of_user = (RESETS.c.user_id == user_id, RESETS.c.token_hash.is_not(None), RESETS.c.asked_at > since)
    return (await connection.execute(select(func.count()).select_from(RESETS).where(*of_user))).scalar_one()


async def store_reset_token(
    connection: AsyncConnection, reset_id: str, token_hash: bytes, expires_at: datetime
) -> None:
    """Store what was mailed."""
    statement = update(RESETS).where(RESETS.c.reset_id == reset_id)
    await connection.execute(statement.values(token_hash=token_hash, expires_at=expires_at))


async def delete_reset(connection: AsyncConnection, reset_id: str) -> None:
    """Forget a request that leads to no mail."""
    await connection.execute(delete(RESETS).where(RESETS.c.reset_id == reset_id))


async def find_reset(connection: AsyncConnection, token_hash: bytes, now: datetime) -> str | None:
    """Return whose password the token may set, unless it was used or its time is over."""
    usable = (RESETS.c.token_hash == token_hash, RESETS.c.used_at.is_(None), RESETS.c.expires_at > now)
    return (await connection.execute(select(RESETS.c.user_id).where(*usable))).scalar_one_or_none()


async def use_resets(connection: AsyncConnection, user_id: str, now: datetime) -> None:
    """Mark every token of the customer as used: one new password is what they were all asked for."""
    unused = (RESETS.c.user_id == user_id, RESETS.c.token_hash.is_not(None), RESETS.c.used_at.is_(None))
    await connection.execute(update(RESETS).where(*unused).values(used_at=now))


async def delete_old_resets(connection: AsyncConnection, before: datetime) -> None:
    """Forget what was asked before the moment."""
    await connection.execute(delete(RESETS).where(RESETS.c.asked_at < before))
