"""Say what a customer may send, by what would decide on his next transfer."""

from libs.common.clock import Clock
from libs.common.db.reading import Reading
from services.fraud.domain.limit_standing import CustomersLimits, standings_of
from services.fraud.domain.moments import to_us
from services.fraud.store.payer_cache import PayerCache
from services.fraud.store.users import load_customers, load_payers
from services.fraud.use_cases.read_policy import PolicyInForce


class ShowLimits:
    """Looks at limits on a window of its own, as a dry run does: nothing is used."""

    def __init__(self, reading: Reading, policy: PolicyInForce, clock: Clock) -> None:
        """Take the policy that decisions rest on."""
        self._reading = reading
        self._policy = policy
        self._clock = clock

    async def __call__(self, user_id: str) -> CustomersLimits:
        """Return the limits; for somebody we never heard of, those he would begin with. Raises: Unavailable."""
        now = self._clock()
        async with self._reading.connection() as connection:
            policy = await self._policy.read(connection)
            customers = await load_customers(connection, [user_id])
            payers = await load_payers(connection, PayerCache(), [user_id], customers, now)
        payer = payers[user_id]
        payer.window.advance(payer.moment(to_us(now)))
        limits = policy.limits_of(payer.profile, payer.kyc_tier, payer.personal)
        return CustomersLimits(payer.profile, payer.kyc_tier, standings_of(limits, payer.window))
