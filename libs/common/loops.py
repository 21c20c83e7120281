"""Loops that run as long as their process: one that ends by itself says so at once."""

import asyncio
from typing import Final

import structlog

log = structlog.get_logger()

_TOLD_AGAIN_SECONDS: Final = 1.0


def say_when_it_ends(task: "asyncio.Task[None]") -> "asyncio.Task[None]":
    """Log `loop_ended` with the cause when the task ends without having been cancelled; return the task."""
    task.add_done_callback(_say)
    return task


async def end(*tasks: "asyncio.Task[None]") -> None:
    """Cancel loops and wait until they have ended, whatever they end with.

    They are told each second: what comes while a loop waits for Kafka's client may stay in there (`asyncio.wait_for`
    of Python 3.11 drops a cancellation that comes together with its result), and a process would never stop.
    """
    while left := [task for task in tasks if not task.done()]:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=_TOLD_AGAIN_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)


def _say(task: "asyncio.Task[None]") -> None:
    if not task.cancelled():
        log.error("loop_ended", loop=task.get_name(), exc_info=task.exception())
