"""Mails in and out of `accounts.mails`: queued with the change they tell of, gone once they are sent."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import case, delete, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.ids import new_id
from libs.common.personal.sealing import sealer_of
from services.accounts.domain.mail import TRIES_MAX, Mail, QueuedMail, pause_after
from services.accounts.store.tables import MAILS

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Mail).decode


async def queue_mail(connection: AsyncConnection, mail: Mail) -> None:
    """Queue a mail; it is sent if the caller's transaction commits, within seconds unless the mail server is away."""
    mail_id = new_id()
    content = sealer_of(connection).seal_in_passing(mail_id, _encode(mail))
    await connection.execute(insert(MAILS).values(mail_id=mail_id, content=content))


async def take_due_mails(connection: AsyncConnection, now: datetime, limit: int) -> Sequence[QueuedMail]:
    """Return mails whose time has come, each counted as tried and put off, so that nobody else takes it meanwhile."""
    due = select(MAILS.c.mail_id).where(MAILS.c.due_at <= now).order_by(MAILS.c.due_at).limit(limit)
    pauses = {tries: pause_after(tries + 1) for tries in range(TRIES_MAX)}
    pause = case(pauses, value=MAILS.c.tries, else_=literal(pause_after(TRIES_MAX)))
    statement = (
        update(MAILS)
        .where(MAILS.c.mail_id.in_(due.with_for_update(skip_locked=True).scalar_subquery()))
        .values(tries=MAILS.c.tries + 1, due_at=literal(now) + pause)
        .returning(MAILS)
    )
    return [
        QueuedMail(
            mail_id=row.mail_id,
            mail=_decode(sealer_of(connection).open_in_passing(row.mail_id, row.content)),
            queued_at=row.queued_at,
            tries=row.tries,
        )
        for row in await connection.execute(statement)
    ]


async def delete_mail(connection: AsyncConnection, mail_id: str) -> None:
    """Forget a mail that was sent or given up; it holds an address and perhaps a token."""
    await connection.execute(delete(MAILS).where(MAILS.c.mail_id == mail_id))
