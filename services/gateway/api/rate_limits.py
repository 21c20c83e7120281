"""Rate limits of the edge: so many money requests a minute per principal and per address, log-ins, registrations.

A replay of a known key is given back what it cost: whoever asks again what became of his money is not slowed down.
"""

from typing import Final

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter
from starlette.requests import Request

from libs.common.clock import unix_seconds
from libs.common.errors import TooManyRequests
from libs.common.http.auth import Principal
from services.gateway.metrics import RATE_LIMITED

TRANSFERS: Final = RateLimitItemPerMinute(20, 1, "transfers")
"""Money requests a minute per principal; a batch is one request."""
PEOPLE_PER_ADDRESS: Final = RateLimitItemPerMinute(10, 1, "money-by-address")
"""Money requests a minute per address, for customers of the profile `retail`."""
LOGINS: Final = RateLimitItemPerMinute(5, 1, "logins")
"""Log-ins a minute per address."""
REGISTRATIONS: Final = RateLimitItemPerMinute(10, 1, "registrations")
"""Registrations a minute per address; each costs as much as a log-in and waits in the same queue."""


class RateLimits:
    """Counts in this process's memory. Raises TooManyRequests, or lets pass."""

    def __init__(self, *, enabled: bool) -> None:
        """Count, or let everything pass."""
        self.enabled = enabled
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    async def take_money_request(self, principal: Principal, address: str, profile: str) -> None:
        """Count a money request. Raises: TooManyRequests."""
        await self._take(TRANSFERS, principal.user_id)
        if profile == "retail" and not principal.is_staff():
            try:
                await self._take(PEOPLE_PER_ADDRESS, address)
            except TooManyRequests:
                await self._give_back(TRANSFERS, principal.user_id)
                raise

    async def give_back_money_request(self, principal: Principal, address: str, profile: str) -> None:
        """Uncount what turned out to be a replay."""
        await self._give_back(TRANSFERS, principal.user_id)
        if profile == "retail" and not principal.is_staff():
            await self._give_back(PEOPLE_PER_ADDRESS, address)

    async def take_login(self, address: str) -> None:
        """Count a log-in. Raises: TooManyRequests."""
        if self.enabled:
            await self._take(LOGINS, address)

    async def take_registration(self, address: str) -> None:
        """Count a registration. Raises: TooManyRequests."""
        if self.enabled:
            await self._take(REGISTRATIONS, address)

    async def _take(self, limit: RateLimitItemPerMinute, who: str) -> None:
        if await self._limiter.hit(limit, who):
            return
        await self._give_back(limit, who)
        RATE_LIMITED.labels(limit.namespace).inc()
        resets_at, _ = await self._limiter.get_window_stats(limit, who)
        wait_seconds = max(1, int(resets_at - unix_seconds()) + 1)
        raise TooManyRequests(
            "rate_limited",
            f"At most {limit.amount} of these a minute; try again in {wait_seconds} s.",
            limit=limit.namespace,
            limit_count=limit.amount,
            retry_after_seconds=wait_seconds,
        )

    async def _give_back(self, limit: RateLimitItemPerMinute, who: str) -> None:
        """Uncount one. What was counted in a window that is over gives the new one no credit."""
        _, remaining = await self._limiter.get_window_stats(limit, who)
        if remaining < limit.amount:
            await self._limiter.hit(limit, who, cost=-1)


def address_of(request: Request) -> str:
    """Return where the request comes from, as the edge found out."""
    return request.client.host if request.client else "unknown"
