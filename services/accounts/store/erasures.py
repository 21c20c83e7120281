"""Who asked to erase whom, and what was done: `accounts.erasures`, one row a customer.

That it was done is written by the function that erases, and by nothing else.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, Select, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.ids import is_id
from services.accounts.domain.erasure import Erasure, StopReason
from services.accounts.store.tables import ERASURES

_ROW: Final = ERASURES.c
_COLUMNS: Final = (
    _ROW.user_id,
    _ROW.requested_by,
    _ROW.requested_at,
    _ROW.expires_at,
    _ROW.erased_at,
    _ROW.stopped_at,
)
_UNSTOPPED: Final = {"stopped_by": None, "stopped_at": None, "stop_reason": None}
_STATE: Final = text("SELECT accounts.erasure_state(CAST(:user_id AS uuid), :closed_before)")
_ERASE: Final = text(
    "SELECT accounts.erase_customer(CAST(:user_id AS uuid), CAST(:approver_id AS uuid), :closed_before, :now)"
)


async def read_erasure_state(connection: AsyncConnection, user_id: str, closed_before: datetime) -> str:
    """Return `ready` for a customer, deleted or not, who closed before the moment.

    Else why not: `unknown`, `erased`, `open`, `retained`.
    """
    if not is_id(user_id):
        return "unknown"
    parameters = {"user_id": user_id, "closed_before": closed_before}
    return str((await connection.execute(_STATE, parameters)).scalar_one())


async def erase_customer(
    connection: AsyncConnection, user_id: str, *, approver_id: str, closed_before: datetime, now: datetime
) -> str:
    """Destroy a customer's key if he is `ready` and somebody else has asked for it; return `done`, or why not."""
    parameters = {"user_id": user_id, "approver_id": approver_id, "closed_before": closed_before, "now": now}
    return str((await connection.execute(_ERASE, parameters)).scalar_one())


async def lock_erasure(connection: AsyncConnection, user_id: str) -> Erasure | None:
    """Return what was asked about the customer, and keep others from changing it until the commit."""
    if not is_id(user_id):
        return None
    row = (await connection.execute(_erasures().where(_ROW.user_id == user_id).with_for_update())).first()
    return _erasure(row) if row else None


async def save_erasure(connection: AsyncConnection, erasure: Erasure) -> None:
    """Store what is asked, in place of what was asked before and is over."""
    values = {
        "requested_by": erasure.requested_by,
        "requested_at": erasure.requested_at,
        "expires_at": erasure.expires_at,
    }
    statement = insert(ERASURES).values(user_id=erasure.user_id, **values)
    await connection.execute(statement.on_conflict_do_update(index_elements=[_ROW.user_id], set_=values | _UNSTOPPED))


async def stop_erasure(
    connection: AsyncConnection, user_id: str, *, stopper_id: str, reason: StopReason, now: datetime
) -> None:
    """Note that nothing comes of what is asked, and why."""
    end = {"stopped_by": stopper_id, "stopped_at": now, "stop_reason": reason.value}
    await connection.execute(update(ERASURES).where(_ROW.user_id == user_id).values(**end))


async def read_waiting_erasures(
    connection: AsyncConnection, before: str | None, now: datetime, limit: int
) -> Sequence[Erasure]:
    """Return a page of what waits for a second person, by customer, newest first, behind the customer `before`."""
    statement = _erasures().where(_ROW.erased_at.is_(None), _ROW.stopped_at.is_(None), _ROW.expires_at > now)
    if before is not None:
        statement = statement.where(_ROW.user_id < before)
    return [_erasure(row) for row in await connection.execute(statement.order_by(_ROW.user_id.desc()).limit(limit))]


async def read_done_erasures(
    connection: AsyncConnection, after: tuple[datetime, str], limit: int
) -> Sequence[tuple[str, datetime]]:
    """Return a page of (customer, when he was erased) behind (erased_at, user_id), oldest first."""
    place = tuple_(_ROW.erased_at, _ROW.user_id)
    statement = select(_ROW.user_id, _ROW.erased_at).where(place > after)
    rows = await connection.execute(statement.order_by(_ROW.erased_at, _ROW.user_id).limit(limit))
    return [(row.user_id, row.erased_at) for row in rows]


def _erasures() -> Select[tuple[Any, ...]]:
    return select(*_COLUMNS)


def _erasure(row: Row[*tuple[Any, ...]]) -> Erasure:
    return Erasure(**row._mapping)  # noqa: SLF001 -- SQLAlchemy's public name for a row as a mapping
