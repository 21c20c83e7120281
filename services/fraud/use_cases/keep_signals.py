"""Keep what others noticed about customers, for the rules that judge their next transfers."""

from collections.abc import Sequence

from libs.common.clock import from_rfc3339
from libs.common.contracts.kyc import DocumentShared
from services.fraud.store.payer_cache import PayerCache
from services.fraud.store.signals import Signal, save_signals
from services.fraud.store.unit_of_work import UnitOfWork


class KeepSignals:
    """Keeps signals, one for each customer concerned.

    Idempotent by: (user_id, kind, source_id). Locks: the customers' rows, in order of their ids. Raises: Unavailable.
    """

    def __init__(self, work: UnitOfWork, cache: PayerCache) -> None:
        """Share the cache with whatever screens in this process."""
        self._work = work
        self._cache = cache

    async def __call__(self, shared: Sequence[DocumentShared]) -> None:
        """Keep that these documents are shared, of who sent one and of who had sent the same before."""
        signals = [
            Signal(user_id, "document_shared", one.document_id, from_rfc3339(one.occurred_at))
            for one in shared
            for user_id in (one.user_id, *one.other_user_ids)
        ]
        changed: list[str] = []
        try:
            async with self._work.open() as transaction:
                changed = await save_signals(transaction.connection, signals)
        finally:
            self._cache.forget(changed)
