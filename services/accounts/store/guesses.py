"""Counts of wrong guesses in and out of `accounts.guesses`."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import delete, exists, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.accounts.domain.guesses import Guesses
from services.accounts.store.tables import GUESSES, SESSIONS


async def lock_guesses(connection: AsyncConnection, subjects: Collection[bytes], now: datetime) -> Sequence[Guesses]:
    """Return the counts of these subjects, in their order, and keep others from counting until the commit."""
    rows = [{"subject": one, "wrong": 0, "locked_until": now, "last_at": now} for one in sorted(subjects)]
    statement = insert(GUESSES).values(rows)
    # An update that changes nothing: unlike DO NOTHING it locks and returns a row that is there.
    locked = statement.on_conflict_do_update(index_elements=["subject"], set_={"subject": statement.excluded.subject})
    found = await connection.execute(locked.returning(GUESSES))
    return sorted((Guesses(**row._mapping) for row in found), key=lambda one: one.subject)  # noqa: SLF001 -- SQLAlchemy's public name for a row as a mapping


async def save_guesses(connection: AsyncConnection, guesses: Guesses) -> None:
    """Store a count that is locked."""
    statement = update(GUESSES).where(GUESSES.c.subject == guesses.subject)
    values = {"wrong": guesses.wrong, "locked_until": guesses.locked_until, "last_at": guesses.last_at}
    await connection.execute(statement.values(values))


async def has_been_at(connection: AsyncConnection, user_id: str, address: str) -> bool:
    """Tell whether the customer has lately been logged in from this address."""
    found = select(exists().where(SESSIONS.c.user_id == user_id, SESSIONS.c.address == address))
    return bool((await connection.execute(found)).scalar_one())


async def delete_old_guesses(connection: AsyncConnection, before: datetime) -> None:
    """Forget whom nobody has guessed about since the moment."""
    await connection.execute(delete(GUESSES).where(GUESSES.c.last_at < before))
