"""Rate limits of the edge: so many requests a minute for each principal, and for each address where nobody is known.

A replay of a known key is given back what it cost: whoever asks again what became of his money is not slowed down.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

import structlog
from limits import RateLimitItemPerMinute
from limits.aio.storage import Storage
from limits.aio.strategies import FixedWindowRateLimiter
from limits.errors import StorageError
from limits.storage import storage_from_string

from libs.common.clock import monotonic_seconds, unix_seconds
from libs.common.errors import TooManyRequests, Unavailable
from libs.common.http.auth import Principal
from libs.common.http.client_address import neighbourhood_of
from services.gateway.metrics import RATE_LIMITED
from services.gateway.settings import Bounds

log = structlog.get_logger()

IN_MEMORY: Final = "async+memory://"
_STORE_SECONDS: Final = 0.25
"""How long a request waits for the store of the counters."""
_LET_ALONE_SECONDS: Final = 1.0
"""How long nobody asks a store that just did not answer."""

Header = tuple[bytes, bytes]
Limits = Sequence[tuple[RateLimitItemPerMinute, str]]
"""Limits, and whose request each of them counts."""


class Standing(NamedTuple):
    """Where somebody stands with one limit, after the request that asked."""

    limit: RateLimitItemPerMinute
    remaining: int
    resets_in_seconds: int


class Counted(NamedTuple):
    """A money request that was counted, so that it can be given back."""

    limits: Limits
    headers: Sequence[Header]


class RateLimits:
    """Counts in this process's memory, or in a Valkey that several share. Raises TooManyRequests, or lets pass."""

    def __init__(self, bounds: Bounds, *, enabled: bool, store: str = IN_MEMORY) -> None:
        """Count, or let everything pass; `store` is an address as `store_address` returns it."""
        self.enabled = enabled
        # Its own timeouts bound a connection that hangs; ours below bounds all that one request asks of it.
        options = {} if store == IN_MEMORY else {"socket_timeout": _STORE_SECONDS}
        storage = storage_from_string(store, wrap_exceptions=True, **options)
        assert isinstance(storage, Storage)  # noqa: S101 -- `async+…` is all that we name
        self._limiter = FixedWindowRateLimiter(storage)
        self._asked_again_at = float("-inf")
        self.transfers = RateLimitItemPerMinute(bounds.transfers, 1, "transfers")
        self.people_per_address = RateLimitItemPerMinute(bounds.people_per_address, 1, "money-by-address")
        self.logins = RateLimitItemPerMinute(bounds.logins, 1, "logins")
        self.auth = RateLimitItemPerMinute(bounds.auth, 1, "auth")
        self.auth_by_address = RateLimitItemPerMinute(bounds.auth, 1, "auth-by-address")
        self.registrations = RateLimitItemPerMinute(bounds.registrations, 1, "registrations")
        self.openings = RateLimitItemPerMinute(bounds.openings, 1, "openings")
        self.changes = RateLimitItemPerMinute(bounds.changes, 1, "changes")
        self.reads = RateLimitItemPerMinute(bounds.reads, 1, "reads")

    async def take_money_request(self, principal: Principal, address: str, profile: str) -> Counted:
        """Count a money request. Raises: TooManyRequests, Unavailable limits_unavailable."""
        limits = [(self.transfers, principal.user_id)]
        if profile == "retail" and not principal.is_staff():
            limits.append((self.people_per_address, neighbourhood_of(address)))
        async with self._asking():
            return Counted(limits, limit_headers(await self._take_all(limits)))

    async def give_back(self, counted: Counted) -> None:
        """Uncount what turned out to be a replay; with the store away it stays counted, to the end of its minute."""
        try:
            async with self._asking():
                for limit, who in counted.limits:
                    await self._give_back(limit, who)
        except Unavailable:
            log.info("replay_not_given_back")

    async def take(self, limits: Limits) -> list[Header]:
        """Count a request and return what its answer says of the limits; reads pass while the store is away.

        Raises: TooManyRequests, Unavailable limits_unavailable.
        """
        try:
            async with self._asking():
                return limit_headers(await self._take_all(limits))
        except Unavailable:
            if all(limit is self.reads for limit, _ in limits):
                return []
            raise

    async def close(self) -> None:
        """Close the connections to the store."""
        bridge = getattr(self._limiter.storage, "bridge", None)
        if bridge is not None:
            await bridge.storage.aclose()

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        """Bound what the store may take. Raises: Unavailable limits_unavailable."""
        if monotonic_seconds() < self._asked_again_at:
            raise _unavailable()
        try:
            async with asyncio.timeout(_STORE_SECONDS):
                yield
        except (StorageError, OSError) as failure:  # a timeout is an OSError, too
            self._asked_again_at = monotonic_seconds() + _LET_ALONE_SECONDS
            log.warning("rate_limits_not_counted", error=type(failure).__name__)
            raise _unavailable() from failure

    async def _take_all(self, limits: Limits) -> list[Standing]:
        """Count a request for each limit, or for none of them."""
        taken: list[Standing] = []
        for number, (limit, who) in enumerate(limits):
            try:
                taken.append(await self._take(limit, who))
            except TooManyRequests:
                for earlier in limits[:number]:
                    await self._give_back(*earlier)
                raise
        return taken

    async def _take(self, limit: RateLimitItemPerMinute, who: str) -> Standing:
        is_within = await self._limiter.hit(limit, who)
        if not is_within:
            await self._give_back(limit, who)
        resets_at, remaining = await self._limiter.get_window_stats(limit, who)
        standing = Standing(limit, remaining, max(1, int(resets_at - unix_seconds()) + 1))
        if is_within:
            return standing
        RATE_LIMITED.labels(limit.namespace).inc()
        raise _too_many(standing)

    async def _give_back(self, limit: RateLimitItemPerMinute, who: str) -> None:
        """Uncount one. What was counted in a window that is over gives the new one no credit."""
        _, remaining = await self._limiter.get_window_stats(limit, who)
        if remaining < limit.amount:
            await self._limiter.hit(limit, who, cost=-1)


def store_address(valkey_url: str) -> str:
    """Return where to count, of a `valkey://` or `valkeys://` URL or of none."""
    return f"async+{valkey_url}" if valkey_url else IN_MEMORY


def limit_headers(standings: Sequence[Standing]) -> list[Header]:
    """Return `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10)."""
    policies = ", ".join(f'"{limit.namespace}";q={limit.amount};w={limit.get_expiry()}' for limit, _, _ in standings)
    states = ", ".join(f'"{limit.namespace}";r={remaining};t={resets}' for limit, remaining, resets in standings)
    return [(b"ratelimit-policy", policies.encode()), (b"ratelimit", states.encode())]


def _too_many(standing: Standing) -> TooManyRequests:
    limit, _, resets_in_seconds = standing
    return TooManyRequests(
        "rate_limited",
        f"At most {limit.amount} of these a minute; try again in {resets_in_seconds} s.",
        headers=limit_headers([standing]),
        limit=limit.namespace,
        limit_count=limit.amount,
        retry_after_seconds=resets_in_seconds,
    )


def _unavailable() -> Unavailable:
    return Unavailable("limits_unavailable", "Your requests cannot be counted now, so none is taken; try again.")
