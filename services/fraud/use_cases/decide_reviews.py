"""A reviewer decides on many at once: each for itself, so that one that cannot be keeps no other from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from libs.common.audit.asker import Asker
from libs.common.audit.entry import new_entry
from libs.common.audit.record import record_entries
from libs.common.clock import Clock
from libs.common.errors import Conflict, Forbidden, NotFound, Unavailable
from services.fraud.store.unit_of_work import UnitOfWork
from services.fraud.use_cases.decide_review import Decided, DecideReview, Decision

REVIEWS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Refused:
    """One that could not be decided, and why."""

    transfer_id: str
    code: str
    detail: str


class DecideReviews:
    """Decides on up to a hundred reviews, one transaction each, and writes down which were refused."""

    def __init__(self, work: UnitOfWork, decide_review: DecideReview, clock: Clock) -> None:
        """Take what it works with."""
        self._work = work
        self._decide_review = decide_review
        self._clock = clock

    async def __call__(
        self, transfer_ids: Sequence[str], decision: Decision, reason: str, asker: Asker
    ) -> list[Decided | Refused]:
        """Return what became of each, in the order they were named. Raises: Unavailable, if refusals cannot be kept."""
        results: list[Decided | Refused] = []
        for transfer_id in transfer_ids:
            try:
                results.append(await self._decide_review(transfer_id, decision, reason, asker))
            except (Forbidden, NotFound, Conflict, Unavailable) as refusal:
                results.append(Refused(transfer_id, refusal.code, refusal.detail))
        await self._record_refused([one for one in results if isinstance(one, Refused)], asker)
        return results

    async def _record_refused(self, refused: Sequence[Refused], asker: Asker) -> None:
        if not refused:
            return
        now = self._clock()
        async with self._work.open() as transaction:
            entries = [
                new_entry(
                    transaction.service,
                    asker,
                    "review.decide",
                    at=now,
                    resource=("transfer", one.transfer_id),
                    outcome="refused",
                    reason=one.code,
                )
                for one in refused
            ]
            await record_entries(transaction, entries)
        asker.is_recorded = True
