"""What is told of erasures: to staff, what waits for a second person; to sisters, who has been erased."""

from collections.abc import Sequence
from datetime import datetime

from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from services.accounts.domain.erasure import Erasure
from services.accounts.store.erasures import read_done_erasures, read_waiting_erasures


class ErasureView:
    """Looks erasures up. Raises: Unavailable, everywhere."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it reads with."""
        self._uow = uow
        self._clock = clock

    async def waiting(self, before: str | None, limit: int) -> Sequence[Erasure]:
        """Return a page of what somebody asked for and nobody has approved, behind the customer `before`."""
        async with self._uow.begin() as tx:
            return await read_waiting_erasures(tx.connection, before, self._clock(), limit)

    async def done(self, after: tuple[datetime, str], limit: int) -> Sequence[tuple[str, datetime]]:
        """Return a page of (customer, when he was erased), oldest first, behind (moment, customer)."""
        async with self._uow.begin() as tx:
            return await read_done_erasures(tx.connection, after, limit)
