"""Limits and rates as staff set them, with who did and why."""

from libs.common.db.reading import Reading
from libs.common.errors import NotFound
from services.fraud.domain.set_by_staff import LimitKind, PersonalLimits, SetLimits, SetRate
from services.fraud.store.limit_rows import find_limits
from services.fraud.store.personal_limits import find_personal_limits
from services.fraud.store.usd_rates import find_rate


class SetByStaff:
    """Reads what is in force. Raises: Unavailable."""

    def __init__(self, reading: Reading) -> None:
        """Use connections for reading, not the one that decides."""
        self._reading = reading

    async def limits(self, kind: LimitKind, subject: str) -> SetLimits:
        """Return the limits of a profile or a tier."""
        async with self._reading.connection() as connection:
            return await find_limits(connection, kind, subject)

    async def personal_limits(self, user_id: str) -> PersonalLimits:
        """Return what was set for a customer alone. Raises: NotFound `customer_not_found`."""
        async with self._reading.connection() as connection:
            found = await find_personal_limits(connection, user_id)
        if found is None:
            raise NotFound("customer_not_found", "There is no such customer.")
        return found

    async def rate(self, asset: str) -> SetRate:
        """Return what an asset is worth. Raises: NotFound `usd_rate_not_found`."""
        async with self._reading.connection() as connection:
            found = await find_rate(connection, asset)
        if found is None:
            raise NotFound("usd_rate_not_found", "Nobody has said what this asset is worth.")
        return found
