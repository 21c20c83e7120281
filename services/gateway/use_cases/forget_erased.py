"""Customers were erased: what the gateway keeps of them as persons goes; what was asked and answered stays, as ids."""

from collections.abc import Sequence
from typing import Final

from libs.common.clock import Clock
from libs.common.db.kept_answers import forget_answers
from libs.common.db.unit_of_work import UnitOfWork
from services.gateway.store.erased_customers import delete_webhooks_of, forget_texts, note_erased

_TEXTS_MAX: Final = 1000
"""In one transaction: each is a new version of its row."""


class ForgetErased:
    """Forgets erased customers. Idempotent by: user_id; of whom nothing is kept there is nothing to forget."""

    def __init__(self, uow: UnitOfWork, clock: Clock, texts_max: int = _TEXTS_MAX) -> None:
        """Take what it works with, and how many texts go in one transaction."""
        self._uow = uow
        self._clock = clock
        self._texts_max = texts_max

    async def __call__(self, user_ids: Sequence[str]) -> None:
        """Forget kept answers, webhooks with their secrets, and what they wrote on transfers.

        Commits: the first two together, then the texts in pieces; what a crash leaves goes when it is said again, which
        it is after each start. Raises: Unavailable.
        """
        async with self._uow.begin() as tx:
            await note_erased(tx.connection, user_ids, self._clock())
            await forget_answers(tx, user_ids)
            await delete_webhooks_of(tx.connection, user_ids)
        for user_id in user_ids:
            while await self._forget_texts(user_id):
                pass

    async def _forget_texts(self, user_id: str) -> bool:
        async with self._uow.begin() as tx:
            return await forget_texts(tx.connection, user_id, self._texts_max)
