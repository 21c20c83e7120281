"""Customers were erased: their keys here are destroyed; what was decided about them stays, without their names."""

from collections.abc import Sequence

from libs.common.clock import Clock
from libs.common.db.kept_answers import forget_answers
from libs.common.db.unit_of_work import UnitOfWork
from services.kyc.store.verifications import erase_applications


class ForgetApplicants:
    """Erases applications. Idempotent by: user_id; who never applied has nothing to erase."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(self, user_ids: Sequence[str]) -> None:
        """Destroy the keys of these customers' applications. Locks: their verifications. Raises: Unavailable."""
        async with self._uow.begin() as tx:
            await erase_applications(tx.connection, user_ids, self._clock())
            await forget_answers(tx, user_ids)
