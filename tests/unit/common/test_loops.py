"""A loop that ends by itself is told of; one that is ended is not."""

import asyncio

from structlog.testing import capture_logs

from libs.common.loops import say_when_it_ends


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
