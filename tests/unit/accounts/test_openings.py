"""A request that waits for its account is woken, and leaves nothing behind."""

import asyncio

from services.accounts.openings import Openings


async def test_a_settled_opening_wakes_the_one_who_waits_for_it() -> None:
    openings = Openings()
    with openings.expect("a") as opened, openings.expect("b") as other:
        openings.settle(["a", "unknown"])
        async with asyncio.timeout(30):
            await opened.wait()
        assert not other.is_set()


def test_nobody_is_remembered_after_the_waiting() -> None:
    openings = Openings()
    with openings.expect("a"):
        pass
    openings.settle(["a"])
    assert openings._events == {}
