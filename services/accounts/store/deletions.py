"""The doors to what is deleted: functions of the database, since this service's role sees present rows alone."""

from datetime import datetime
from typing import Final, Literal

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.ids import is_id

_DELETE_CUSTOMER: Final = text("SELECT accounts.delete_customer(CAST(:user_id AS uuid), :now)")
_RESTORE_CUSTOMER: Final = text("SELECT accounts.restore_customer(CAST(:user_id AS uuid), :now)")
_DELETE_ACCOUNT: Final = text("SELECT accounts.delete_account(CAST(:account_id AS uuid), :now)")
_RESTORE_ACCOUNT: Final = text("SELECT accounts.restore_account(CAST(:account_id AS uuid))")

Restored = Literal["restored", "unchanged", "email_taken"]


async def delete_customer(connection: AsyncConnection, user_id: str, now: datetime) -> None:
    """Take a closed customer out of sight."""
    await connection.execute(_DELETE_CUSTOMER, {"user_id": user_id, "now": now})


async def restore_customer(connection: AsyncConnection, user_id: str, now: datetime) -> Restored:
    """Bring a deleted or closed customer back as a new version; the transaction goes on where his e-mail is taken."""
    if not is_id(user_id):
        return "unchanged"
    try:
        async with connection.begin_nested():
            found = (await connection.execute(_RESTORE_CUSTOMER, {"user_id": user_id, "now": now})).scalar_one()
    except IntegrityError as failure:
        if "customers_email_unique" not in str(failure.orig):
            raise
        return "email_taken"
    return "restored" if found else "unchanged"


async def delete_account(connection: AsyncConnection, account_id: str, now: datetime) -> bool:
    """Take an account out of sight; False for one that is not closed."""
    return bool((await connection.execute(_DELETE_ACCOUNT, {"account_id": account_id, "now": now})).scalar_one())


async def restore_account(connection: AsyncConnection, account_id: str) -> bool:
    """Bring a deleted account back; False when there is no such one."""
    if not is_id(account_id):
        return False
    return bool((await connection.execute(_RESTORE_ACCOUNT, {"account_id": account_id})).scalar_one())
