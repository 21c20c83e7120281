"""Callers who wait for the outcome of their transfer, woken by the tip reader, by a poll, or by their deadline."""

import asyncio
from typing import Final

from libs.common.clock import monotonic_seconds
from services.gateway.domain.outcomes import Outcome, accepted

_TICKS_PER_SECOND: Final = 10


class Waiters:
    """transfer id → the futures of those who wait for it. One ticking task ends waits; a timer each would cost more."""

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self._futures: dict[str, list[asyncio.Future[Outcome]]] = {}
        self._expiring: dict[int, list[str]] = {}
        self._last_tick = self._tick_now()

    def __len__(self) -> int:
        """Return for how many transfers somebody waits."""
        return len(self._futures)

    def add(self, transfer_id: str, future: asyncio.Future[Outcome], wait_seconds: float) -> None:
        """Wait for this transfer at most so long, then get its state `accepted`."""
        self._futures.setdefault(transfer_id, []).append(future)
        tick = self._tick_now() + int(wait_seconds * _TICKS_PER_SECOND) + 1
        self._expiring.setdefault(tick, []).append(transfer_id)

    def drop(self, transfer_id: str) -> None:
        """Forget a transfer that was never stored under this id."""
        self._futures.pop(transfer_id, None)

    def wants(self, transfer_id: str) -> bool:
        """Tell whether anybody waits for this transfer."""
        return transfer_id in self._futures

    def resolve(self, outcome: Outcome) -> None:
        """Give everybody who waits for this transfer its outcome."""
        for future in self._futures.pop(outcome.transfer_id, ()):
            if not future.done():
                future.set_result(outcome)

    def some_ids(self, count: int) -> list[str]:
        """Return up to `count` transfers somebody waits for, those who have waited longest first."""
        return [transfer_id for transfer_id, _ in zip(self._futures, range(count), strict=False)]

    def end_expired(self) -> None:
        """End every wait whose time is over; called a few times a second."""
        now = self._tick_now()
        for tick in range(self._last_tick, now + 1):
            for transfer_id in self._expiring.pop(tick, ()):
                self.resolve(accepted(transfer_id))
        self._last_tick = now

    @staticmethod
    def _tick_now() -> int:
        return int(monotonic_seconds() * _TICKS_PER_SECOND)
