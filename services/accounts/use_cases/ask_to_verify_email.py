"""A customer has lost the mail that would prove his e-mail, and asks for another."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import Unprocessable
from services.accounts.domain.customer import Customer
from services.accounts.domain.email import normalise_email
from services.accounts.domain.email_verification import verification_after, verification_mail
from services.accounts.one_time_tokens import new_one_time_token
from services.accounts.store.customers import find_credentials, lock_customer
from services.accounts.store.email_verifications import find_email_verification, save_email_verification
from services.accounts.store.mails import queue_mail


async def mail_verification_token(connection: AsyncConnection, customer: Customer, now: datetime) -> None:
    """Mail the customer a fresh token, unless the pause since the last one is not over; call with him locked."""
    outstanding = await find_email_verification(connection, customer.user_id)
    if outstanding is not None and now < outstanding.next_mail_at:
        return
    token = new_one_time_token()
    mails_before = outstanding.mails if outstanding else 0
    await save_email_verification(connection, verification_after(customer.user_id, mails_before, token.sha256, now))
    await queue_mail(connection, verification_mail(customer.email, token.text))


class AskToVerifyEmail:
    """Mails another token to who has not proved his e-mail yet."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(self, email: str) -> None:
        """Queue the mail. Nobody learns whether the e-mail is known, proved already, or was mailed a moment ago.

        Locks: the customer. Raises: Unavailable.
        """
        try:
            normal = normalise_email(email)
        except Unprocessable:
            return
        async with self._uow.begin() as tx:
            known = await find_credentials(tx.connection, normal)
            if known is None:
                return
            customer = await lock_customer(tx.connection, known[0].user_id)
            if customer is not None and customer.status == "active" and customer.email_verified_at is None:
                await mail_verification_token(tx.connection, customer, self._clock())
