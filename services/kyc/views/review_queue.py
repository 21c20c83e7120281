"""The queue as reviewers see it: who waits, since when, and who looks at it. No personal data is in it."""

from collections.abc import Sequence

from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from services.kyc.domain.queued_review import QueuedReview
from services.kyc.domain.verification import Status
from services.kyc.store.reviews import read_queue


class ReviewQueueView:
    """Reads pages of the queue."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it reads with."""
        self._uow = uow
        self._clock = clock

    async def page(
        self, status: Status | None, *, claimed_by: str | None, after: int, limit: int
    ) -> Sequence[QueuedReview]:
        """Return those in a status behind a position, the oldest first; None: who waits for a reviewer.

        `claimed_by` empty: nobody's.         Raises: Unavailable.
        """
        async with self._uow.begin() as tx:
            return await read_queue(
                tx.connection, status, claimed_by=claimed_by, now=self._clock(), after=after, limit=limit
            )
