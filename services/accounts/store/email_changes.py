"""E-mails that wait to be proved by their new mailbox: `accounts.email_changes`, one a customer."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.personal.sealing import sealer_of
from services.accounts.domain.email_change import EmailChange
from services.accounts.store.tables import CUSTOMERS, EMAIL_CHANGES

_ROW: Final = EMAIL_CHANGES.c


async def count_change_mails(connection: AsyncConnection, user_id: str) -> tuple[int, datetime | None]:
    """Return how many tokens the customer was mailed since the last change, and when another may follow."""
    statement = select(_ROW.mails, _ROW.next_mail_at).where(_ROW.user_id == user_id)
    row = (await connection.execute(statement)).first()
    return (row.mails, row.next_mail_at) if row else (0, None)


async def save_email_change(connection: AsyncConnection, change: EmailChange) -> None:
    """Store what is outstanding, sealed as the customer's other data is; the token before stops working."""
    key = (await connection.execute(_key_of(change.user_id))).scalar_one()
    values = {
        "user_id": change.user_id,
        "email_sealed": sealer_of(connection).seal(key, change.user_id, "new_email", change.email),
        "token_hash": change.token_hash,
        "expires_at": change.expires_at,
        "mails": change.mails,
        "next_mail_at": change.next_mail_at,
    }
    statement = insert(EMAIL_CHANGES).values(values)
    await connection.execute(statement.on_conflict_do_update(index_elements=[_ROW.user_id], set_=values))


async def use_change_token(connection: AsyncConnection, user_id: str, token_hash: bytes, now: datetime) -> str | None:
    """Take the customer's token out of the table, if it works, and return the e-mail that it proves."""
    statement = delete(EMAIL_CHANGES).where(
        _ROW.user_id == user_id, _ROW.token_hash == token_hash, _ROW.expires_at > now
    )
    sealed = (await connection.execute(statement.returning(_ROW.email_sealed))).scalar_one_or_none()
    if sealed is None:
        return None
    key = (await connection.execute(_key_of(user_id))).scalar_one()
    return sealer_of(connection).open(key, user_id, "new_email", sealed)


async def delete_old_changes(connection: AsyncConnection, before: datetime) -> None:
    """Forget e-mails whose token expired before the moment."""
    await connection.execute(delete(EMAIL_CHANGES).where(_ROW.expires_at < before))


def _key_of(user_id: str) -> Select[tuple[Any]]:
    return select(CUSTOMERS.c.personal_key).where(CUSTOMERS.c.user_id == user_id)
