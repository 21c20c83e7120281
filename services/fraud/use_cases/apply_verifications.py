"""Apply what kyc says of customers: their tier from now on, and the transfers that waited for it."""

from collections.abc import Sequence
from typing import Final

from libs.common.clock import Clock
from libs.common.contracts.kyc import VerificationChanged
from services.fraud.store.holds import find_holds_of_payees, lock_holds
from services.fraud.store.payer_cache import PayerCache
from services.fraud.store.projections import save_verifications
from services.fraud.store.unit_of_work import UnitOfWork
from services.fraud.use_cases.end_holds import Resolved, count_endings
from services.fraud.use_cases.keep_newest import keep_newest
from services.fraud.use_cases.resolve_holds import ResolveHolds

HOLDS_AT_ONCE_MAX: Final = 1_000


class ApplyVerifications:
    """Projects KYC states and ends the holds that they settle, in one transaction.

    Idempotent by: (user_id, version), and a hold ends once. Emits: HoldResolved.
    Locks: the customers' rows, then the holds in order of their ids.
    Raises: Unavailable; the same batch may come again.
    """

    def __init__(self, work: UnitOfWork, cache: PayerCache, resolve: ResolveHolds, *, clock: Clock) -> None:
        """Share the cache with whatever screens in this process."""
        self._work = work
        self._cache = cache
        self._resolve = resolve
        self._clock = clock

    async def __call__(self, changes: Sequence[VerificationChanged]) -> None:
        """Keep the newest state of each customer; end up to a thousand holds, the sweeper ends the rest."""
        newest = keep_newest(changes, lambda change: change.user_id)
        now = self._clock()
        resolved = Resolved()
        changed: list[str] = []
        try:
            async with self._work.open() as transaction:
                changed = await save_verifications(transaction.connection, newest)
                settling = [change.user_id for change in newest if change.tier > 0 or change.status == "rejected"]
                if settling:
                    waiting = await find_holds_of_payees(transaction.connection, settling, limit=HOLDS_AT_ONCE_MAX)
                    if waiting:
                        holds = await lock_holds(transaction.connection, waiting)
                        await self._resolve(transaction, holds, now, resolved)
        except BaseException:
            self._cache.forget(resolved.moved)
            raise
        finally:
            self._cache.forget(changed)
        count_endings(resolved)
