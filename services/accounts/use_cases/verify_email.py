"""A customer proves that his e-mail is his."""

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import Unprocessable
from services.accounts.one_time_tokens import one_time_token_hash
from services.accounts.store.customers import mark_email_verified
from services.accounts.store.email_verifications import use_verification_token


class VerifyEmail:
    """Takes the token that was mailed. It works once."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(self, token: str, asker: Asker) -> None:
        """Store that the e-mail is proved. Raises: Unprocessable `verification_token_invalid`, Unavailable."""
        now = self._clock()
        async with self._uow.begin() as tx:
            user_id = await use_verification_token(tx.connection, one_time_token_hash(token), now)
            if user_id is None:
                raise Unprocessable(
                    "verification_token_invalid", "Unknown, used, replaced or expired; ask for another mail."
                )
            await mark_email_verified(tx.connection, user_id, now)
            await record(tx, asker, "customer.verify_email", at=now, resource=("customer", user_id))
