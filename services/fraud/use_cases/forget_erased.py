"""Customers were erased: words about them go, and where they asked from; what was decided stays, under their ids."""

from collections.abc import Sequence
from typing import Final

from libs.common.clock import Clock
from services.fraud.store.erased_customers import forget_answers, forget_origins, forget_words, note_erased
from services.fraud.store.unit_of_work import UnitOfWork

_PIECE: Final = 1_000
"""In one transaction: each is a new version of its row."""


class ForgetErased:
    """Forgets erased customers. Idempotent by: user_id; of whom nothing is kept there is nothing to forget."""

    def __init__(self, work: UnitOfWork, clock: Clock, piece: int = _PIECE) -> None:
        """Take what it works with, and how many rows change in one transaction."""
        self._work = work
        self._clock = clock
        self._piece = piece

    async def __call__(self, user_ids: Sequence[str]) -> None:
        """Forget what staff wrote about them, and their activity with the keys of address and device.

        Commits: that they were erased first, then piece by piece; what a crash leaves goes when it is said again,
        which it is after each start. Raises: Unavailable.
        """
        async with self._work.open() as transaction:
            await note_erased(transaction.connection, user_ids, self._clock())
            for user_id in user_ids:
                await forget_answers(transaction.connection, user_id)
        for user_id in user_ids:
            while await self._forget_piece(user_id):
                pass

    async def _forget_piece(self, user_id: str) -> bool:
        async with self._work.open() as transaction:
            words = await forget_words(transaction.connection, user_id, limit=self._piece)
            origins = await forget_origins(transaction.connection, user_id, limit=self._piece)
        return words or origins
