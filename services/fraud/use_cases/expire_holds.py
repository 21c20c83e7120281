"""End holds that nobody will settle any more: money does not wait for ever."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from libs.common.clock import Clock
from libs.common.contracts.fraud import HoldReason
from services.fraud.domain.holds import KYC_EXPIRED_CODE, KYC_PENDING, KYC_WAIT, REVIEW
from services.fraud.domain.reviews import EXPIRED_CODE, GRACE
from services.fraud.metrics import REVIEWS_DECIDED
from services.fraud.store.holds import find_kyc_waits, lock_holds
from services.fraud.store.payer_cache import PayerCache
from services.fraud.store.reviews import close_reviews, find_overdue, note_events
from services.fraud.store.unit_of_work import Transaction, UnitOfWork
from services.fraud.use_cases.end_holds import EndHolds, Resolved, count_endings, rejected

EXPIRE_SECONDS: Final = 10.0
EXPIRED_AT_ONCE_MAX: Final = 200


class ExpireHolds:
    """Rejects what waited too long: for a review two days beyond its due time, for KYC thirty days.

    One bounded page of each at every call. What somebody decides before this comes by still counts.
    Idempotent by: the hold's status. Locks: holds, in order of their ids, then reviews. Emits: HoldResolved.
    Raises: Unavailable.
    """

    def __init__(self, work: UnitOfWork, cache: PayerCache, end_holds: EndHolds, *, clock: Clock) -> None:
        """Share the cache with whatever screens in this process."""
        self._work = work
        self._cache = cache
        self._end_holds = end_holds
        self._clock = clock

    async def __call__(self) -> None:
        """End reviews first: a hold that waits for both ends by whichever is over sooner."""
        now = self._clock()
        async with self._work.read_first() as reading:
            reviews = await find_overdue(reading.connection, due_before=now - GRACE, limit=EXPIRED_AT_ONCE_MAX)
            waits = await find_kyc_waits(reading.connection, opened_before=now - KYC_WAIT, limit=EXPIRED_AT_ONCE_MAX)
        if reviews:
            await self._expire(reviews, REVIEW, EXPIRED_CODE)
        if waits:
            await self._expire(waits, KYC_PENDING, KYC_EXPIRED_CODE)

    async def _expire(self, transfer_ids: Sequence[str], reason: HoldReason, code: str) -> None:
        now = self._clock()
        resolved = Resolved()
        closed: Sequence[str] = ()
        try:
            async with self._work.open() as transaction:
                # Somebody may have decided since they were looked for; he was first then.
                holds = [one for one in await lock_holds(transaction.connection, transfer_ids) if reason in one.reasons]
                endings = [rejected(hold, reason, code) for hold in holds]
                await self._end_holds(transaction, endings, now, resolved)
                if reason == REVIEW:
                    closed = await _close(transaction, [hold.transfer_id for hold in holds], now)
        except BaseException:
            self._cache.forget(resolved.moved)
            raise
        count_endings(resolved)
        if closed:
            REVIEWS_DECIDED.labels("expired").inc(len(closed))


async def _close(transaction: Transaction, transfer_ids: Sequence[str], now: datetime) -> list[str]:
    closed = await close_reviews(transaction.connection, transfer_ids, "expired", None, now)
    if closed:
        await note_events(transaction.connection, dict.fromkeys(closed, EXPIRED_CODE), "expired", None, now)
    return closed
