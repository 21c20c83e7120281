"""How many wait for a reviewer, and how long the first of them has, for whoever watches."""

from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from services.kyc.metrics import OLDEST_REVIEW_SECONDS, REVIEWS_WAITING
from services.kyc.store.reviews import measure_queue


class CountReviews:
    """Sets the gauges."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(self) -> None:
        """Count and measure once. Raises: Unavailable; the gauges keep what they said."""
        async with self._uow.begin() as tx:
            waiting, oldest = await measure_queue(tx.connection)
        REVIEWS_WAITING.set(waiting)
        OLDEST_REVIEW_SECONDS.set(0 if oldest is None else max(0.0, (self._clock() - oldest).total_seconds()))
