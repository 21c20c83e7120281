"""Customers were erased: their keys here are destroyed; what was decided about them stays, without their names."""

from collections.abc import Sequence

from libs.common.clock import Clock
from libs.common.db.kept_answers import forget_answers
from libs.common.db.unit_of_work import UnitOfWork
from services.kyc.store.documents import erase_documents
from services.kyc.store.verifications import erase_applications


class ForgetApplicants:
    """Erases applications and documents. Idempotent by: user_id."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(self, user_ids: Sequence[str]) -> None:
        """Destroy the keys of these customers' applications and documents.

        Locks: their verifications, their documents. Raises: Unavailable.
        """
        async with self._uow.begin() as tx:
            now = self._clock()
            await erase_applications(tx.connection, user_ids, now)
            await erase_documents(tx.connection, user_ids, now)
            await forget_answers(tx, user_ids)
