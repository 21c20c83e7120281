"""Doing many things a few at a time, and waiting for what happens elsewhere."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from libs.common.clock import monotonic_seconds
from tallystick.demo.api import DemoFailed
from tallystick.demo.progress import Advance

PATIENCE_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 0.05

_Given = TypeVar("_Given")
_Made = TypeVar("_Made")


async def each(
    things: Sequence[_Given], work: Callable[[_Given], Awaitable[_Made]], *, at_once: int, advance: Advance
) -> list[_Made]:
    """Return what the work makes of each thing, in their order; the first failure ends the others."""
    turn = asyncio.Semaphore(at_once)

    async def one(thing: _Given) -> _Made:
        async with turn:
            made = await work(thing)
        advance(1)
        return made

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(thing)) for thing in things]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures
    return [task.result() for task in tasks]


async def wait_for(what: str, condition: Callable[[], Awaitable[bool]]) -> None:
    """Return when the condition holds. Raises: DemoFailed when it does not for `PATIENCE_SECONDS`."""
    deadline = monotonic_seconds() + PATIENCE_SECONDS
    while not await condition():
        if monotonic_seconds() > deadline:
            raise DemoFailed(f"waited {PATIENCE_SECONDS:.0f} s for {what}")
        await asyncio.sleep(_POLL_SECONDS)
