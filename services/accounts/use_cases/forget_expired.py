"""What expired is forgotten."""

from datetime import timedelta
from typing import Final

from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from services.accounts.store.email_changes import delete_old_changes
from services.accounts.store.guesses import delete_old_guesses
from services.accounts.store.notices import delete_old_notices
from services.accounts.store.password_resets import delete_old_resets
from services.accounts.store.sessions import delete_expired_sessions

_GRACE: Final = timedelta(days=1)
_NOTICES_REPEATED: Final = timedelta(days=60)
"""Longer than a message is kept that might tell of one again, on the bus or as a dead letter."""
_PAGE: Final = 1000


class ForgetExpired:
    """Deletes sessions a day after they expired, when a copied token need not be told from an unknown one any more.

    With them go requests for a new password or another e-mail, and counts of guesses, of more than a day ago.
    """

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(self) -> None:
        """Delete page after page, each in a transaction of its own. Raises: Unavailable."""
        before = self._clock() - _GRACE
        async with self._uow.begin() as tx:
            await delete_old_resets(tx.connection, before)
            await delete_old_guesses(tx.connection, before)
            await delete_old_notices(tx.connection, before - _NOTICES_REPEATED)
            await delete_old_changes(tx.connection, before)
        deleted = _PAGE
        while deleted == _PAGE:
            async with self._uow.begin() as tx:
                deleted = await delete_expired_sessions(tx.connection, before, _PAGE)
