"""Count what waits for reviewers, for the metrics that an alert looks at."""

from typing import Final

from libs.common.clock import Clock
from services.fraud.metrics import OLDEST_REVIEW_SECONDS, REVIEWS_OPEN, REVIEWS_OVERDUE
from services.fraud.store.reviews import count_open
from services.fraud.store.unit_of_work import UnitOfWork

COUNT_SECONDS: Final = 10.0


class CountReviews:
    """Reads the queue and sets its gauges. Raises: Unavailable."""

    def __init__(self, work: UnitOfWork, *, clock: Clock) -> None:
        """Take what it works with."""
        self._work = work
        self._clock = clock

    async def __call__(self) -> None:
        """Count once."""
        now = self._clock()
        async with self._work.read_first() as reading:
            count, overdue, oldest = await count_open(reading.connection, now)
        REVIEWS_OPEN.set(count)
        REVIEWS_OVERDUE.set(overdue)
        OLDEST_REVIEW_SECONDS.set((now - oldest).total_seconds() if oldest else 0)
