"""Give back what a transfer used of its payer's limits, once for ever, in memory as in the rows."""

from datetime import datetime

from services.fraud.metrics import SLOTS_RELEASED
from services.fraud.store.payer_cache import PayerCache
from services.fraud.store.slots import release_slots
from services.fraud.store.unit_of_work import Transaction
from services.fraud.store.users import bump_versions


async def release_limits(
    transaction: Transaction, cache: PayerCache, reasons: dict[str, str], now: datetime
) -> list[str]:
    """Release the slots of these transfers (transfer_id → reason) and move their payers' versions.

    Idempotent by: transfer_id. Returns the payers whose memory moved: forget them if the transaction fails.
    """
    released = await release_slots(transaction.connection, reasons, now)
    if not released:
        return []
    versions = await bump_versions(transaction.connection, released)
    for user_id, slots in released.items():
        cache.release(user_id, version=versions[user_id], slots=slots)
    SLOTS_RELEASED.inc(sum(len(slots) for slots in released.values()))
    return list(released)
