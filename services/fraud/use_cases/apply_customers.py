"""Apply what accounts says of customers: which profile's limits hold for them."""

from collections.abc import Sequence

from libs.common.contracts.accounts import CustomerChanged
from services.fraud.store.payer_cache import PayerCache
from services.fraud.store.projections import save_profiles
from services.fraud.store.unit_of_work import UnitOfWork
from services.fraud.use_cases.keep_newest import keep_newest


class ApplyCustomers:
    """Projects limit profiles. Idempotent by: (user_id, version). Raises: Unavailable."""

    def __init__(self, work: UnitOfWork, cache: PayerCache) -> None:
        """Share the cache with whatever screens in this process."""
        self._work = work
        self._cache = cache

    async def __call__(self, changes: Sequence[CustomerChanged]) -> None:
        """Keep the newest profile of each customer."""
        async with self._work.open() as transaction:
            newest = keep_newest(changes, lambda change: change.user_id)
            changed = await save_profiles(transaction.connection, newest)
        self._cache.forget(changed)
