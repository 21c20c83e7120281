"""Whether the wall clock can be believed: records carry its time for ever."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from libs.common.clock import Clock
from libs.common.errors import Unavailable

JUMP_MAX: Final = timedelta(seconds=60)
"""A wall clock that moves this much further than the monotonic one was set, or ran wild."""


class WatchClock:
    """A clock that stops answering once it jumped; only a restart, after a person looked, trusts it again."""

    def __init__(self, clock: Clock, monotonic_seconds: Callable[[], float]) -> None:
        """Trust both clocks as they stand now."""
        self._clock = clock
        self._monotonic_seconds = monotonic_seconds
        self._last = (clock(), monotonic_seconds())
        self._jumped: timedelta | None = None

    def now(self) -> datetime:
        """Return the present moment. Raises: Unavailable (clock_jumped)."""
        now = self._look()
        if self._jumped is not None:
            seconds = self._jumped.total_seconds()
            raise Unavailable("clock_jumped", "The ledger does not trust its clock.", seconds=seconds)
        return now

    def trouble(self) -> str | None:
        """Say what is wrong and what mends it, for the readiness page."""
        self._look()
        if self._jumped is None:
            return None
        return (
            f"the wall clock moved {self._jumped.total_seconds():+.0f} s against the monotonic clock: nothing is "
            "written; set the clock right, then restart the ledger"
        )

    def _look(self) -> datetime:
        wall, monotonic = self._clock(), self._monotonic_seconds()
        last_wall, last_monotonic = self._last
        jump = (wall - last_wall) - timedelta(seconds=monotonic - last_monotonic)
        if abs(jump) > JUMP_MAX and self._jumped is None:
            self._jumped = jump
        self._last = (wall, monotonic)
        return wall
