"""Work that repeats by the clock: sweeping, and looking again for payees."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from libs.common.errors import InvariantBroken, Unavailable

log = structlog.get_logger()


class Timers:
    """Runs each work at once and then again after a pause, until stopped."""

    def __init__(self) -> None:
        """Begin with nothing to do."""
        self._works: list[tuple[str, float, Callable[[], Awaitable[None]]]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._broken: str | None = None

    def every(self, seconds: float, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Repeat this work with so long a pause between its end and its next beginning."""
        self._works.append((name, seconds, work))

    def start(self) -> None:
        """Begin with everything."""
        self._tasks = [
            asyncio.create_task(self._repeat(name, seconds, work), name=f"fraud-{name}")
            for name, seconds, work in self._works
        ]

    async def stop(self) -> None:
        """End everything; work under way is rolled back."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def what_is_wrong(self) -> str | None:
        """Return why this process is not ready, or None."""
        return self._broken

    async def _repeat(self, name: str, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except Unavailable as reason:
                log.warning("timer_postponed", timer=name, code=reason.code)
            except InvariantBroken as broken:
                self._broken = f"timer {name} has stopped: {broken}"
                log.critical("timer_stopped", timer=name, exc_info=broken)
                return
            except Exception:  # one bad row must not end the repairs of all others
                log.exception("timer_failed", timer=name)
            await asyncio.sleep(seconds)
