"""Customers are told by e-mail what another service has to tell them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from services.accounts.domain.mail import Mail
from services.accounts.domain.notices import PER_HOUR_MAX, Notice
from services.accounts.store.customers import find_customer
from services.accounts.store.mails import queue_mail
from services.accounts.store.notices import count_notices, note_notice

_HOUR: Final = timedelta(hours=1)


class SendNotices:
    """Queues a mail for each notice. Idempotent by: (customer, the notice's name)."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(self, notices: Sequence[Notice]) -> None:
        """Queue what was not told before, in one transaction. Raises: Unavailable.

        Who has closed gets none, and neither does an address that nobody has proved to be his: what somebody else's
        money does must not be read by whoever owns the mailbox. More than so many in an hour are not mailed.
        """
        async with self._uow.begin() as tx:
            now = self._clock()
            for notice in notices:
                if not await note_notice(tx.connection, notice.user_id, notice.name, now):
                    continue
                customer = await find_customer(tx.connection, notice.user_id)
                if customer is None or customer.status == "closed" or customer.email_verified_at is None:
                    continue
                if await count_notices(tx.connection, notice.user_id, now - _HOUR) <= PER_HOUR_MAX:
                    await queue_mail(tx.connection, Mail(customer.email, notice.subject, notice.text))
