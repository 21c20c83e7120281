"""A customer changes his e-mail: he asks, and the new mailbox confirms."""

from datetime import datetime

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.db.unit_of_work import Transaction, UnitOfWork
from libs.common.errors import Conflict, Forbidden, NotFound, TooManyRequests, Unprocessable
from services.accounts.domain.customer import Customer
from services.accounts.domain.email import normalise_email
from services.accounts.domain.email_change import change_after, change_asked_notice, change_mail, email_changed_notice
from services.accounts.one_time_tokens import new_one_time_token, one_time_token_hash
from services.accounts.store.customers import find_credentials, lock_customer, update_email
from services.accounts.store.email_changes import count_change_mails, save_email_change, use_change_token
from services.accounts.store.mails import queue_mail
from services.accounts.store.password_resets import use_resets
from services.accounts.use_cases.tell_of_log_in import tell_of_log_in


class ChangeEmail:
    """Sets another e-mail. The bus carries none, so nobody hears of it."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def ask(self, asker: Asker, email: str) -> None:
        """Mail a token to the new address and a notice to the old one.

        An address that is somebody's gets no mail, and the answer does not tell. Locks: the customer.
        Raises: Unprocessable `email_invalid`, NotFound `customer_not_found`, Forbidden `customer_closed`,
        TooManyRequests `email_change_too_soon`, Unavailable.
        """
        wanted = normalise_email(email)
        async with self._uow.begin() as tx:
            customer = await _lock(tx, asker.actor_id)
            now = self._clock()
            mails_before, next_mail_at = await count_change_mails(tx.connection, customer.user_id)
            _require_pause_over(next_mail_at, now)
            is_taken = await find_credentials(tx.connection, wanted) is not None
            token = new_one_time_token()
            change = change_after(
                user_id=customer.user_id,
                email=wanted,
                mails_before=mails_before,
                token_hash=token.sha256,
                now=now,
            )
            await save_email_change(tx.connection, change)
            if not is_taken:
                await queue_mail(tx.connection, change_mail(wanted, token.text))
            notice = change_asked_notice(customer.email, asker.address, now)
            await tell_of_log_in(tx.connection, customer.user_id, notice, now)
            await _record(tx, asker, "asked", now)

    async def confirm(self, asker: Asker, token: str) -> None:
        """Store the e-mail that the token proves. Tokens that were mailed to the old one are worth nothing now.

        Locks: the customer. Raises: NotFound `customer_not_found`, Forbidden `customer_closed`, Unprocessable
        `verification_token_invalid`, Conflict `email_taken`, Unavailable.
        """
        async with self._uow.begin() as tx:
            customer = await _lock(tx, asker.actor_id)
            now = self._clock()
            email = await use_change_token(tx.connection, customer.user_id, one_time_token_hash(token), now)
            if email is None:
                raise Unprocessable(
                    "verification_token_invalid", "Unknown, used, replaced or expired; ask for another mail."
                )
            if not await update_email(tx.connection, customer.user_id, email, now):
                raise Conflict("email_taken", "Somebody else has registered with this e-mail since.")
            await use_resets(tx.connection, customer.user_id, now)
            notice = email_changed_notice(customer.email, asker.address, now)
            await tell_of_log_in(tx.connection, customer.user_id, notice, now)
            await _record(tx, asker, "confirmed", now)


async def _lock(tx: Transaction, user_id: str) -> Customer:
    customer = await lock_customer(tx.connection, user_id)
    if customer is None:
        raise NotFound("customer_not_found", "There is no such customer.")
    if customer.status != "active":
        raise Forbidden("customer_closed", "This customer's relationship has ended.")
    return customer


async def _record(tx: Transaction, asker: Asker, step: str, now: datetime) -> None:
    who = ("customer", asker.actor_id)
    await record(tx, asker, "customer.change_email", at=now, resource=who, facts={"step": step})


def _require_pause_over(next_mail_at: datetime | None, now: datetime) -> None:
    """Let nobody have mailboxes of others filled."""
    if next_mail_at is not None and now < next_mail_at:
        seconds = int((next_mail_at - now).total_seconds()) + 1
        raise TooManyRequests(
            "email_change_too_soon",
            f"A mail about this was sent a moment ago; try again in {seconds} s.",
            retry_after_seconds=seconds,
        )
