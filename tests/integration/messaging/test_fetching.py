"""When a reader fetches: for a free handler, and for as long as the broker needs to find something."""

import asyncio

import pytest

from libs.common.messaging import consumer
from tests.integration.messaging.conftest import Notebook, World, until


async def test_a_long_log_is_read_though_the_broker_needs_longer_for_it_than_it_was_given(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "_IDLE_MS", 0)
    world.fetch_max_wait_ms = 1
    count = 4000
    await world.start()  # makes the topic
    await world.send_numbers(*range(count))
    notebook = Notebook()
    await world.start(notebook)
    await until(lambda: len(notebook.noted) == count)
    await world.send_numbers(count)
    await until(lambda: notebook.noted == list(range(count + 1)))


async def test_what_comes_while_the_handler_is_busy_makes_the_next_batch(world: World) -> None:
    free = asyncio.Event()
    notebook = Notebook(before=lambda _: free.wait())
    await world.start(notebook)
    await world.send_numbers(1)
    await until(lambda: notebook.batches == [[1]])
    await world.send_numbers(2, 3)
    await asyncio.sleep(0.3)  # long enough for a fetch, were there one
    await world.send_numbers(4)
    free.set()
    await until(lambda: notebook.batches == [[1], [2, 3, 4]])
