"""Revocations that end nothing any more are deleted."""

from datetime import timedelta
from typing import Final

from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.http.revocations import KEPT_SECONDS
from services.accounts.store.revocations import delete_revocations

_KEPT: Final = timedelta(seconds=KEPT_SECONDS)


class RemoveRevocations:
    """One round; every token that such a revocation ended has run out by itself."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(self) -> None:
        """Delete them. Raises: Unavailable."""
        async with self._uow.begin() as tx:
            await delete_revocations(tx.connection, self._clock() - _KEPT)
