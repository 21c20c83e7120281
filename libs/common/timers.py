"""Work that a process repeats by itself: sweepers, re-emission."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from libs.common.errors import Unavailable

log = structlog.get_logger()

_SPREAD: Final = 0.1
"""Pauses differ by up to a tenth, so that processes started together do not sweep together for ever."""


@dataclass(frozen=True, slots=True)
class _Timer:
    name: str
    seconds: float
    work: Callable[[], Awaitable[object]]


class Timers:
    """The timers of one process. Each does one round at a time; what fails is tried again at the next."""

    def __init__(self) -> None:
        """Begin without timers."""
        self._timers: list[_Timer] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._failed: dict[str, str] = {}

    def every(self, seconds: float, name: str, work: Callable[[], Awaitable[object]]) -> None:
        """Do this with a pause of `seconds` before each round, from `start` on."""
        self._timers.append(_Timer(name, seconds, work))

    async def start(self) -> None:
        """Let all timers run."""
        self._tasks = [asyncio.create_task(self._repeat(timer), name=timer.name) for timer in self._timers]

    async def stop(self) -> None:
        """End them; a round under way is cut off, and its transaction rolls back."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def what_is_wrong(self) -> str | None:
        """Return which timers failed in their last round, or None."""
        return "; ".join(f"{name} failed: {reason}" for name, reason in self._failed.items()) or None

    async def _repeat(self, timer: _Timer) -> None:
        while True:
            await asyncio.sleep(timer.seconds * random.uniform(1 - _SPREAD, 1 + _SPREAD))  # noqa: S311 -- no secret
            try:
                await timer.work()
                self._failed.pop(timer.name, None)
            except Unavailable as reason:
                log.warning("timer_postponed", timer=timer.name, code=reason.code)
            except Exception as failure:  # one bad round must not end the repairs; readiness tells of it
                self._failed[timer.name] = repr(failure)
                log.exception("timer_failed", timer=timer.name)
