"""One consumer has several partitions: what one batch brings of them is done and acknowledged of each."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.messaging.conftest import Notebook, World, until
from tests.support.broker import BrokerAddress

PARTITIONS = 4


@pytest.fixture
async def wide(broker: BrokerAddress, delivery_dsn: str) -> AsyncIterator[World]:
    """Give a world whose topic has several partitions."""
    made = World(broker, delivery_dsn, partitions=PARTITIONS)
    yield made
    for bus in made.running:
        await bus.stop()


async def test_offsets_of_every_partition_of_a_batch_are_acknowledged(wide: World) -> None:
    """A handler of batches committed the offsets of one partition only; the others' came again, or were passed over.

    https://github.com/mojaloop/central-ledger/pull/996
    """
    makes_the_topic = await wide.start()
    for partition in range(PARTITIONS):
        await wide.send_numbers(*range(10 * partition, 10 * partition + partition + 1), partition=partition)
    notebook = Notebook()
    bus = await wide.start(notebook)
    sent = [10 * partition + number for partition in range(PARTITIONS) for number in range(partition + 1)]
    await until(lambda: sorted(notebook.noted) == sent)
    await wide.stop(bus)
    assert [await wide.committed(partition) for partition in range(PARTITIONS)] == [1, 2, 3, 4]

    successor = Notebook()
    await wide.start(successor)
    for partition in range(PARTITIONS):
        await wide.send_numbers(100 + partition, partition=partition)
    await until(lambda: len(successor.noted) >= PARTITIONS)
    assert sorted(successor.noted) == [100, 101, 102, 103], "nothing twice, and nothing passed over"
    assert makes_the_topic.what_is_wrong() is None
