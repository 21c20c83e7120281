"""A customer is told by e-mail what happened to his log-in."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.ids import new_id
from services.accounts.domain.mail import Mail
from services.accounts.domain.notices import ABOUT_LOG_IN, PER_HOUR_MAX
from services.accounts.store.mails import queue_mail
from services.accounts.store.notices import count_notices, note_notice

_HOUR: Final = timedelta(hours=1)


async def tell_of_log_in(connection: AsyncConnection, user_id: str, mail: Mail, now: datetime) -> None:
    """Queue the mail to a customer whom the caller has locked, unless he got as many of its kind within the hour.

    Notices of other kinds count these, too, but not the other way round: who sends a customer money must not be able
    to keep him from hearing that his password changed.
    """
    if await count_notices(connection, user_id, now - _HOUR, prefix=ABOUT_LOG_IN) < PER_HOUR_MAX:
        await note_notice(connection, user_id, f"{ABOUT_LOG_IN}{new_id()}", now)
        await queue_mail(connection, mail)
