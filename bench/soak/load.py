"""The load of a soak: wrk in slices, at a share of what the stack can do, with tokens that do not get old."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2

from bench.world import Customer, log_in, write_world
from bench.wrk import Load, run_load

CONNECTIONS: Final = 64
SHARE: Final = 0.7
SLICE_SECONDS: Final = 30
_MAXIMUM_SECONDS: Final = 20
_TOKENS_SECONDS: Final = 480
"""Well below what an access token lives."""


@dataclass(frozen=True, slots=True)
class Slice:
    """What one slice of the load saw."""

    ended_seconds: float
    answered_per_second: float
    p50_ms: float
    p99_ms: float
    answered: int
    failed: int
    """Answers that are no 2xx, connections that broke, requests without an answer."""


class SteadyLoad:
    """Keeps the stack busy; each connection rests between its requests so that the rate is `SHARE` of the maximum."""

    def __init__(self, api: str, customers: Sequence[Customer], world: Path) -> None:
        """Drive this address as these customers; `world` is the file that the load script reads."""
        self._api = api
        self._customers = list(customers)
        self._world = world
        self._renewed_at = time.monotonic()
        self._pause_ms = 0
        self.maximum_per_second = 0.0
        self.answered = 0
        """Requests that got a 2xx."""
        write_world(self._customers, world)

    def find_maximum(self) -> None:
        """Measure what the stack answers without a rest, and set the rest by it."""
        seen = run_load(Load(CONNECTIONS), self._api, self._world, _MAXIMUM_SECONDS)
        self.answered += seen.requests - seen.not_2xx
        self.maximum_per_second = (seen.requests - seen.not_2xx) / seen.seconds
        # Each connection: one request in so many seconds, of which the request itself takes its part.
        cycle_ms = 1e3 * CONNECTIONS / (SHARE * self.maximum_per_second)
        self._pause_ms = max(1, round(cycle_ms - SHARE * seen.p50_ms))

    async def renew_tokens(self) -> None:
        """Log everybody in again who has had his token for long. Raises: what httpx2 raises, RuntimeError."""
        if time.monotonic() - self._renewed_at < _TOKENS_SECONDS:
            return
        async with httpx2.AsyncClient(base_url=self._api, timeout=30) as client:
            for place, customer in enumerate(self._customers):
                token = await log_in(client, customer.email, customer.password)
                self._customers[place] = Customer(token, customer.account_ids, customer.email, customer.password)
        write_world(self._customers, self._world)
        self._renewed_at = time.monotonic()

    def slice(self, began: float) -> Slice:
        """Send for a slice; `began` is when the soak did, by the monotonic clock."""
        seen = run_load(Load(CONNECTIONS, pause_ms=self._pause_ms), self._api, self._world, SLICE_SECONDS)
        answered = seen.requests - seen.not_2xx
        self.answered += answered
        return Slice(
            ended_seconds=time.monotonic() - began,
            answered_per_second=answered / seen.seconds,
            p50_ms=seen.p50_ms,
            p99_ms=seen.p99_ms,
            answered=answered,
            failed=seen.not_2xx + seen.socket_errors + seen.timeouts,
        )
