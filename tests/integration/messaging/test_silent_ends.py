"""A loop that ends without a word makes its process not ready: nobody notices otherwise, but that nothing comes."""

import asyncio

import pytest

from libs.common.messaging.bus import Bus
from tests.integration.messaging.conftest import Notebook, World, until


def loops_of(bus: Bus, kind: str) -> list["asyncio.Task[None]"]:
    delivery, subscriber = bus._deliveries[0]
    if kind == "offsets":
        assert delivery._committer is not None
        return [delivery._committer]
    return list(subscriber.tasks if kind == "consumer" else bus._followers[0].tasks)


@pytest.mark.parametrize("kind", ["consumer", "offsets", "tip reader"])
async def test_a_reader_that_ends_without_a_word_makes_its_process_not_ready(world: World, kind: str) -> None:
    """A batch handler stopped processing and logging, and had no consumer any more; its health check passed.

    https://github.com/mojaloop/project/issues/4250
    """
    bus = await world.start(Notebook(), follows=True)
    assert bus.what_is_wrong() is None
    for task in loops_of(bus, kind):
        task.cancel()
    await until(lambda: "has ended" in (bus.what_is_wrong() or ""))


async def test_a_reader_that_fails_goes_on(world: World) -> None:
    """It is begun anew, and its process stays ready."""
    notebook = Notebook()
    bus = await world.start(notebook)
    consumer = bus._deliveries[0][1].consumer
    assert consumer is not None
    get, failing = consumer.getmany, [ValueError("a response nobody can read")]

    async def fail_once(*arguments: object, **options: object) -> object:
        if failing:
            raise failing.pop()
        return await get(*arguments, **options)

    consumer.getmany = fail_once
    await world.send_numbers(1)
    await world.send_numbers(2)
    await until(lambda: notebook.noted == [1, 2])
    assert failing == []
    assert bus.what_is_wrong() is None
