"""Callers who wait for the outcome of their transfer, woken by the tip reader, by a poll, or by their deadline."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from libs.common.clock import monotonic_seconds
from services.gateway.domain.outcomes import Outcome, accepted

_TICKS_PER_SECOND: Final = 10
_TOLD_MAX: Final = 10_000


class Waiters:
    """transfer id → the futures of those who wait for it. One ticking task ends waits; a timer each would cost more."""

    def __init__(self, seconds: Callable[[], float] = monotonic_seconds) -> None:
        """Begin with nobody waiting; `seconds` is a clock that never goes back."""
        self._seconds = seconds
        self._futures: dict[str, list[asyncio.Future[Outcome]]] = {}
        self._expiring: dict[int, list[tuple[str, asyncio.Future[Outcome]]]] = {}
        self._told: OrderedDict[str, Outcome] = OrderedDict()
        self._last_tick = self._tick_now()

    def __len__(self) -> int:
        """Return for how many transfers somebody waits."""
        return len(self._futures)

    def expect(self, transfer_id: str, future: asyncio.Future[Outcome]) -> None:
        """Wait for this transfer without end: it is not durable yet, so that no deadline may call it accepted."""
        self._futures.setdefault(transfer_id, []).append(future)

    def end_after(self, transfer_id: str, future: asyncio.Future[Outcome], wait_seconds: float) -> None:
        """End one wait for a durable transfer after so long, at once for 0; whoever else waits for it goes on."""
        if wait_seconds <= 0:
            self._end(transfer_id, future)
        elif not future.done():
            tick = self._tick_now() + int(wait_seconds * _TICKS_PER_SECOND) + 1
            self._expiring.setdefault(tick, []).append((transfer_id, future))

    def drop(self, transfer_id: str) -> None:
        """Forget a transfer that was never stored under this id."""
        self._futures.pop(transfer_id, None)

    def wants(self, transfer_id: str) -> bool:
        """Tell whether anybody waits for this transfer."""
        return transfer_id in self._futures

    def resolve(self, outcome: Outcome) -> None:
        """Give everybody who waits for this transfer its outcome, and remember it for those who ask next."""
        futures = self._futures.pop(outcome.transfer_id, ())
        for future in futures:
            if not future.done():
                future.set_result(outcome)
        if futures:
            self._told[outcome.transfer_id] = outcome
            if len(self._told) > _TOLD_MAX:
                self._told.popitem(last=False)

    def newest(self, known: Outcome) -> Outcome:
        """Return the newer of what the projection knows and what somebody was told here.

        The projection comes a moment after the tip: nobody who was answered `posted` is then shown `accepted`.
        """
        told = self._told.get(known.transfer_id)
        return told if told is not None and told.version > known.version else known

    def some_ids(self, count: int) -> list[str]:
        """Return up to `count` transfers somebody waits for, those who have waited longest first."""
        return [transfer_id for transfer_id, _ in zip(self._futures, range(count), strict=False)]

    def end_expired(self) -> None:
        """End every wait whose time is over; called a few times a second."""
        now = self._tick_now()
        for tick in range(self._last_tick, now + 1):
            for transfer_id, future in self._expiring.pop(tick, ()):
                self._end(transfer_id, future)
        self._last_tick = now

    def _end(self, transfer_id: str, future: asyncio.Future[Outcome]) -> None:
        if future.done():
            return
        future.set_result(accepted(transfer_id))
        others = [other for other in self._futures.pop(transfer_id, ()) if other is not future]
        if others:
            self._futures[transfer_id] = others

    def _tick_now(self) -> int:
        return int(self._seconds() * _TICKS_PER_SECOND)
