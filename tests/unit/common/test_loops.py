"""A loop that ends by itself is told of; one that is ended is not."""

import asyncio

import pytest
from structlog.testing import capture_logs

from libs.common.loops import end, say_when_it_ends


async def _fail() -> None:
    raise ZeroDivisionError


async def test_a_loop_that_fails_says_so_and_one_that_is_cancelled_does_not() -> None:
    with capture_logs() as said:
        failing = say_when_it_ends(asyncio.create_task(_fail(), name="failing"))
        stopped = say_when_it_ends(asyncio.create_task(asyncio.sleep(60), name="stopped"))
        stopped.cancel()
        await asyncio.gather(failing, stopped, return_exceptions=True)
        await asyncio.sleep(0)
    assert [(line["event"], line["loop"]) for line in said] == [("loop_ended", "failing")]


async def test_a_loop_that_drops_a_cancellation_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.common.loops._TOLD_AGAIN_SECONDS", 0.01)
    heard: list[str] = []

    async def hard_of_hearing() -> None:
        while len(heard) < 2:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                heard.append("cancelled")

    async def failing() -> None:
        raise OSError("gone")

    tasks = [asyncio.create_task(hard_of_hearing()), asyncio.create_task(failing())]
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await end(*tasks)
    assert heard == ["cancelled"] * 2
    assert all(task.done() for task in tasks)
    assert isinstance(tasks[1].exception(), OSError)
    await end()
