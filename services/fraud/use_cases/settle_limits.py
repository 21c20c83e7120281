"""Settle limits by what the ledger did: a transfer that moved nothing gives its slot back."""

from collections.abc import Iterable, Sequence
from typing import Final

from libs.common.clock import Clock
from libs.common.contracts.ledger import TransferChanged
from services.fraud.store.holds import settle_holds
from services.fraud.store.payer_cache import PayerCache
from services.fraud.store.reviews import end_reviews
from services.fraud.store.unit_of_work import UnitOfWork
from services.fraud.use_cases.release_limits import release_limits

_MOVED_NOTHING: Final = frozenset({"refused", "voided"})


class AwaitedHolds:
    """Holds whose resolution this process sent again in the last two rounds: their end may come at any version."""

    def __init__(self) -> None:
        """Start with none."""
        self._latest: frozenset[str] = frozenset()
        self._before: frozenset[str] = frozenset()

    def note_round(self, transfer_ids: Iterable[str]) -> None:
        """Await these, and no longer those of the round before the last: they are sent again if need be."""
        self._before, self._latest = self._latest, frozenset(transfer_ids)

    def __contains__(self, transfer_id: str) -> bool:
        """Tell whether the end of this transfer is awaited."""
        return transfer_id in self._latest or transfer_id in self._before


class SettleLimits:
    """Hears what became of transfers.

    Idempotent by: transfer_id. Locks: the payers' rows, in order of their ids.
    Raises: Unavailable; the same batch may come again.
    """

    def __init__(self, work: UnitOfWork, cache: PayerCache, awaited: AwaitedHolds, *, clock: Clock) -> None:
        """Share the cache with whatever screens in this process."""
        self._work = work
        self._cache = cache
        self._awaited = awaited
        self._clock = clock

    async def __call__(self, changes: Sequence[TransferChanged]) -> None:
        """Release slots of refused and voided transfers, note the end of holds. Posted ones cost no query."""
        refused: dict[str, str] = {
            change.transfer_id: change.status for change in changes if change.status in _MOVED_NOTHING
        }
        ended = [change.transfer_id for change in changes if self._may_end_hold(change)]
        if not refused and not ended:
            return
        now = self._clock()
        moved: Sequence[str] = ()
        try:
            async with self._work.open() as transaction:
                # Holds, then reviews, then payers: in the order in which a reviewer's decision locks them.
                if ended:
                    await settle_holds(transaction.connection, ended, now)
                if refused:
                    await end_reviews(transaction.connection, refused, now)
                    moved = await release_limits(transaction, self._cache, refused, now)
        except BaseException:
            self._cache.forget(moved)
            raise

    def _may_end_hold(self, change: TransferChanged) -> bool:
        """Tell whether this may be the end of a hold. A transfer that never waited posts at its first version.

        So may the beginning of its caller's own: what was to be held for him is handed to him when fraud lets go. That
        he voids it later gives the slot back all the same. What is captured in part was handed to him before.
        """
        if change.status == "posted":
            return change.version > 1 or change.transfer_id in self._awaited
        if change.status == "held" and change.resolver == "caller":
            handed_over = change.version > 1 and not change.captured_minor
            return handed_over or change.transfer_id in self._awaited
        return change.status in _MOVED_NOTHING
