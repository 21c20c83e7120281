"""Who asked for it is mailed a token that sets a new password."""

from typing import Final

from libs.common.clock import Clock
from libs.common.db.unit_of_work import Transaction, UnitOfWork
from services.accounts.domain.password_reset import (
    RESET_MAILS_MAX,
    RESET_MAILS_WITHIN,
    RESET_TOKEN_LIFETIME,
    password_reset_mail,
)
from services.accounts.one_time_tokens import new_one_time_token
from services.accounts.store.customers import lock_customer
from services.accounts.store.mails import queue_mail
from services.accounts.store.password_resets import (
    count_resets_mailed,
    delete_reset,
    store_reset_token,
    take_asked_resets,
)

_PAGE: Final = 50


class SendPasswordResets:
    """Mails a token for each request of a customer; what nobody has, or asks for too often, is dropped."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(self) -> None:
        """Deal with a page of requests. Locks: the requests, their customers. Raises: Unavailable."""
        async with self._uow.begin() as tx:
            asked = await take_asked_resets(tx.connection, _PAGE)
            # By customer, so that two processes lock them in the same order.
            for reset_id, user_id in sorted(asked, key=lambda reset: (reset[1] or "", reset[0])):
                if user_id is None or not await self._mail(tx, reset_id, user_id):
                    await delete_reset(tx.connection, reset_id)

    async def _mail(self, tx: Transaction, reset_id: str, user_id: str) -> bool:
        customer = await lock_customer(tx.connection, user_id)
        now = self._clock()
        mailed = await count_resets_mailed(tx.connection, user_id, now - RESET_MAILS_WITHIN)
        if customer is None or customer.status != "active" or mailed >= RESET_MAILS_MAX:
            return False
        token = new_one_time_token()
        await store_reset_token(tx.connection, reset_id, token.sha256, now + RESET_TOKEN_LIFETIME)
        await queue_mail(tx.connection, password_reset_mail(customer.email, token.text))
        return True
