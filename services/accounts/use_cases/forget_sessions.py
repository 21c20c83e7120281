"""What expired is forgotten."""

from datetime import timedelta
from typing import Final

from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from services.accounts.store.sessions import delete_expired

_GRACE: Final = timedelta(days=1)
_PAGE: Final = 1000


class ForgetSessions:
    """Deletes sessions a day after they expired; until then a copied token is still told from an unknown one."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(self) -> None:
        """Delete page after page, each in a transaction of its own. Raises: Unavailable."""
        before = self._clock() - _GRACE
        while True:
            async with self._uow.begin() as tx:
                deleted = await delete_expired(tx.connection, before, _PAGE)
            if deleted < _PAGE:
                return
