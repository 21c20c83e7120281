"""Service accounts in and out of `accounts.service_accounts`, each beside a customer that is a machine."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, Select, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.ids import is_id
from services.accounts.domain.service_account import ServiceAccount
from services.accounts.store.tables import CUSTOMERS, SERVICE_ACCOUNTS

NO_PASSWORD: Final = "!"  # noqa: S105 -- the hash of none at all; nobody logs in as a machine, so nobody compares it


async def insert_service_account(connection: AsyncConnection, machine: ServiceAccount) -> None:
    """Store what is known of it besides the customer it is."""
    await connection.execute(
        insert(SERVICE_ACCOUNTS).values(
            user_id=machine.user_id,
            name=machine.name,
            created_at=machine.created_at,
            created_by=machine.created_by,
        )
    )


async def lock_service_account(connection: AsyncConnection, user_id: str) -> ServiceAccount | None:
    """Return a service account that is not closed, and keep others from changing it until the commit."""
    if not is_id(user_id):
        return None
    statement = _open().where(CUSTOMERS.c.user_id == user_id).with_for_update(key_share=True, of=CUSTOMERS)
    row = (await connection.execute(statement)).first()
    return _machine(row) if row else None


async def read_service_accounts(
    connection: AsyncConnection, before: str | None, limit: int
) -> Sequence[ServiceAccount]:
    """Return a page of those that are not closed, newest first, behind the one `before`."""
    statement = _open()
    if before is not None:
        statement = statement.where(SERVICE_ACCOUNTS.c.user_id < before)
    rows = await connection.execute(statement.order_by(SERVICE_ACCOUNTS.c.user_id.desc()).limit(limit))
    return [_machine(row) for row in rows]


async def close_service_account(connection: AsyncConnection, user_id: str, now: datetime) -> None:
    """Store that it is closed, as a new version of the customer."""
    values = {"status": "closed", "version": CUSTOMERS.c.version + 1, "changed_at": now}
    await connection.execute(update(CUSTOMERS).where(CUSTOMERS.c.user_id == user_id).values(values))


def _open() -> Select[tuple[Any, ...]]:
    joined = select(SERVICE_ACCOUNTS, CUSTOMERS.c.roles).join(
        CUSTOMERS, CUSTOMERS.c.user_id == SERVICE_ACCOUNTS.c.user_id
    )
    return joined.where(CUSTOMERS.c.status == "active", CUSTOMERS.c.deleted_at.is_(None))


def _machine(row: Row[*tuple[Any, ...]]) -> ServiceAccount:
    return ServiceAccount(row.user_id, row.name, frozenset(row.roles), row.created_at, row.created_by)
