"""Staff say what an asset is worth in US dollars, so that its transfers can be measured by the limits."""

from libs.common.audit.asker import Asker
from libs.common.audit.record import record
from libs.common.clock import Clock
from libs.common.db.unit_of_work import UnitOfWork
from libs.common.errors import Unprocessable
from services.fraud.domain.set_by_staff import SetRate
from services.fraud.domain.usd_rates import UsdRate
from services.fraud.store.usd_rates import lock_rate, save_rate

_USD = "USD"


class SetUsdRate:
    """Sets a rate. Idempotent by: the rate; setting what is set changes nothing."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        """Take what it works with."""
        self._uow = uow
        self._clock = clock

    async def __call__(self, *, asker: Asker, asset: str, numerator: int, denominator: int, reason: str) -> SetRate:
        """Store the rate and the audit entry. A new asset's holds at once, a changed one's within ten seconds.

        Locks: the asset. Raises: Unprocessable `usd_rate_fixed`; Unavailable.
        """
        if asset == _USD:
            raise Unprocessable("usd_rate_fixed", "The limits are measured in US dollars; one is worth one.")
        async with self._uow.begin() as tx:
            connection = await tx.driver()
            before = await lock_rate(connection, asset)
            if before is not None and (before.rate.numerator, before.rate.denominator) == (numerator, denominator):
                return before
            now = self._clock()
            version = 1 if before is None else before.rate.version + 1
            after = SetRate(UsdRate(numerator, denominator, version), reason, asker.actor_id, now)
            await save_rate(connection, asset, after)
            facts = {"before": None if before is None else before.rate.said(), "after": after.rate.said()}
            await record(tx, asker, "usd_rate.set", at=now, resource=("asset", asset), facts=facts)
        return after
