"""Loops that run as long as their process: one that ends by itself says so at once."""

import asyncio

import structlog

log = structlog.get_logger()


def say_when_it_ends(task: "asyncio.Task[None]") -> "asyncio.Task[None]":
    """Log `loop_ended` with the cause when the task ends without having been cancelled; return the task."""
    task.add_done_callback(_say)
    return task


def _say(task: "asyncio.Task[None]") -> None:
    if not task.cancelled():
        log.error("loop_ended", loop=task.get_name(), exc_info=task.exception())
