"""What a customer is told of his log-ins."""

from collections.abc import Sequence

from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from services.accounts.domain.session import Session
from services.accounts.store.sessions import read_live_sessions


class SessionView:
    """Looks log-ins up."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it reads with."""
        self._uow = uow
        self._clock = clock

    async def of(self, user_id: str, before: str | None, limit: int) -> Sequence[Session]:
        """Return a page of the log-ins that go on, newest first, behind the family `before`. Raises: Unavailable."""
        async with self._uow.begin() as tx:
            return await read_live_sessions(tx.connection, user_id, now=self._clock(), before=before, limit=limit)
