"""What rules no longer look back at is deleted, page by page: it says who paid whom, and from where."""

from typing import Final

from libs.common.clock import Clock
from services.fraud.store.activity import KEPT_FOR, forget_activity
from services.fraud.store.unit_of_work import UnitOfWork

FORGET_SECONDS: Final = 10.0
_PAGE: Final = 5_000


class ForgetActivity:
    """Deletes a page at every call, so that screening never waits long for the connection."""

    def __init__(self, work: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._work = work
        self._clock = clock

    async def __call__(self) -> None:
        """Delete a page of what is older than 31 days. Raises: Unavailable."""
        async with self._work.open() as transaction:
            await forget_activity(transaction.connection, self._clock() - KEPT_FOR, limit=_PAGE)
