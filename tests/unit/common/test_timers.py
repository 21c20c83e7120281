"""Work that repeats goes on after what fails, and readiness tells of it."""

import asyncio

import pytest

from libs.common.errors import InvariantBroken, Unavailable
from libs.common.timers import Timers


class Work:
    """Fails in its first round; its second one waits until it may succeed."""

    def __init__(self, failure: Exception) -> None:
        self.failure = failure
        self.second_begun = asyncio.Event()
        self.may_succeed = asyncio.Event()
        self.third_begun = asyncio.Event()
        self.rounds = 0

    async def __call__(self) -> None:
        self.rounds += 1
        if self.rounds == 1:
            raise self.failure
        (self.third_begun if self.may_succeed.is_set() else self.second_begun).set()
        await self.may_succeed.wait()


async def until(event: asyncio.Event) -> None:
    async with asyncio.timeout(30):
        await event.wait()


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (Unavailable("database_busy", "later"), None),
        (InvariantBroken("the sweep finds what it left"), "sweep failed"),
    ],
)
async def test_a_failed_round_is_told_until_the_next_succeeds_unless_it_may_pass(
    failure: Exception, told: str | None
) -> None:
    timers, work = Timers(), Work(failure)
    timers.every(0.001, "sweep", work)
    await timers.start()
    await until(work.second_begun)
    problem = timers.what_is_wrong()
    assert problem is None if told is None else told in str(problem)
    work.may_succeed.set()
    await until(work.third_begun)
    assert timers.what_is_wrong() is None
    await timers.stop()


async def test_stopping_cuts_a_round_off() -> None:
    timers = Timers()
    begun, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    timers.every(0.001, "sweep", work)
    await timers.start()
    await until(begun)
    await timers.stop()
    assert ended.is_set()


async def test_timers_that_never_started_may_be_stopped() -> None:
    timers = Timers()
    timers.every(3600, "sweep", asyncio.Event().wait)
    await timers.stop()
    assert timers.what_is_wrong() is None
