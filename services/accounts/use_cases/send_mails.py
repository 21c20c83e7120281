"""Mails that wait are handed over; what the server would not take now is tried again, later each time."""

import asyncio
from typing import Final

from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from services.accounts.domain.mail import TRIES_MAX, QueuedMail
from services.accounts.mailers import Mailer
from services.accounts.metrics import MAILS
from services.accounts.store.mails import delete_mail, take_due_mails

_AT_ONCE: Final = 10


class SendMails:
    """Sends what is due. A crash between sending and forgetting sends a mail twice, under the same Message-ID."""

    def __init__(self, uow: UnitOfWork, mailer: Mailer, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._mailer = mailer
        self._clock = clock

    async def __call__(self) -> None:
        """Try at most ten mails that are due, all at once. Locks: their rows, others' passed over. Raises: Unavailable.

        No transaction is open while the mailer works: the mails were put off before, so nobody else takes them.
        """
        async with self._uow.begin() as tx:
            due = await take_due_mails(tx.connection, self._clock(), _AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for queued in due:
                group.create_task(self._send(queued))

    async def _send(self, queued: QueuedMail) -> None:
        result = await self._mailer.send(queued)
        gone = "undeliverable" if result == "later" and queued.tries >= TRIES_MAX else result
        MAILS.labels(gone).inc()
        if gone != "later":
            async with self._uow.begin() as tx:
                await delete_mail(tx.connection, queued.mail_id)
