"""`accounts.notices`: what customers were told by e-mail, each once."""

from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.accounts.store.tables import NOTICES


async def note_notice(connection: AsyncConnection, user_id: str, name: str, now: datetime) -> bool:
    """Note that he is told; False if he was before."""
    statement = insert(NOTICES).values(user_id=user_id, name=name, noted_at=now).on_conflict_do_nothing()
    return (await connection.execute(statement.returning(NOTICES.c.user_id))).first() is not None


async def count_notices(connection: AsyncConnection, user_id: str, since: datetime, *, prefix: str = "") -> int:
    """Return how many whose names begin so were noted for him since then."""
    mine = (NOTICES.c.user_id == user_id, NOTICES.c.noted_at >= since, NOTICES.c.name.startswith(prefix))
    return int((await connection.execute(select(func.count()).where(*mine))).scalar_one())


async def delete_old_notices(connection: AsyncConnection, before: datetime) -> None:
    """Forget what nobody tells again."""
    await connection.execute(delete(NOTICES).where(NOTICES.c.noted_at < before))
