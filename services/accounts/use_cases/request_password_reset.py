"""Somebody has forgotten his password."""

from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import Unprocessable
from services.accounts.domain.email import normalise_email
from services.accounts.store.customers import find_credentials
from services.accounts.store.password_resets import insert_reset


class RequestPasswordReset:
    """Notes that a token is asked for. A timer mails it, so that the answer takes as long for an unknown e-mail."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(self, email: str) -> None:
        """Write one row, whether or not somebody has the e-mail. Raises: Unavailable."""
        try:
            normal = normalise_email(email)
        except Unprocessable:
            normal = ""
        async with self._uow.begin() as tx:
            known = await find_credentials(tx.connection, normal)
            await insert_reset(tx.connection, known[0].user_id if known else None, self._clock())
