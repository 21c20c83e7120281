"""The publisher keeps the order of a key, survives the broker, and answers for every batch it was given."""

import asyncio

import msgspec
import pytest

from libs.common.contracts.topics import Topic
from libs.common.errors import Unavailable
from libs.common.messaging.bus import Bus
from libs.common.messaging.outgoing_message import Outgoing, outgoing
from libs.common.messaging.records import MAX_PAYLOAD_BYTES
from tallystick.stack.broker import LocalBroker
from tests.integration.messaging.conftest import SERVICE, Notebook, Noted, World, until
from tests.integration.messaging.test_outbox import commit, is_empty
from tests.support.kafka import ApacheKafka


def saying(topic: Topic, key: str, number: int) -> Outgoing:
    return outgoing(topic, key, Noted(number=number))


async def test_messages_of_one_key_stay_in_order_in_one_partition_however_they_are_handed_over(
    world: World,
) -> None:
    world.topic = Topic(world.topic.name, "test", "number", "it is a test", (Noted,), partitions=3)
    world.topics = (world.topic, *world.topics[1:])
    bus = await world.start()
    keys = [f"key {number}" for number in range(12)]
    sent = [await bus.publisher.send([saying(world.topic, key, turn) for key in keys]) for turn in range(50)]
    await asyncio.gather(*sent)

    records = await world.on_the_bus(world.topic.name, 600)
    assert len({record.partition for record in records}) == 3
    for key in keys:
        mine = [record for record in records if record.key == key.encode()]
        assert len({record.partition for record in mine}) == 1
        by_offset = sorted(mine, key=lambda record: int(record.offset))
        assert [msgspec.json.decode(record.value, type=Noted).number for record in by_offset] == list(range(50))


async def test_a_message_of_the_largest_readable_size_goes_through(world: World) -> None:
    notebook = Notebook()
    bus = await world.start(notebook)
    small = saying(world.topic, "key", 7)
    padding = b" " * (MAX_PAYLOAD_BYTES - len(small.payload))
    large = msgspec.structs.replace(small, payload=small.payload + padding)
    await (await bus.publisher.send([saying(world.topic, "key", 6), large, saying(world.topic, "key", 8)]))
    await until(lambda: notebook.noted == [6, 7, 8])


async def test_a_batch_of_nothing_is_acknowledged_at_once(world: World) -> None:
    bus = await world.start()
    await (await bus.publisher.send([]))


async def until_the_first_try_is_over(world: World, bus: Bus) -> None:
    """The plain producer gives a batch up after five seconds, the idempotent one keeps it until the broker is back."""
    if world.broker.idempotence:
        await asyncio.sleep(7)
    else:
        await until(lambda: "did not take the last batch" in (bus.what_is_wrong() or ""))


async def test_the_broker_may_go_and_come_back_empty_and_the_outbox_repeats_what_it_did_not_take(
    shaky: World, own_broker: LocalBroker | ApacheKafka
) -> None:
    notebook = Notebook()
    bus = await shaky.start(notebook)
    await bus.outbox.publish(await commit(shaky, bus.outbox, [1]))
    await until(lambda: is_empty(shaky))

    own_broker.kill()
    await bus.outbox.publish(await commit(shaky, bus.outbox, [2]))
    unknown = await bus.publisher.send([saying(shaky.topic, "key", 3)])
    await until_the_first_try_is_over(shaky, bus)
    assert not unknown.done()
    own_broker.start(timeout_seconds=90)

    await until(lambda: bus.what_is_wrong() is None, seconds=60)
    async with asyncio.timeout(30):
        await (await bus.publisher.send([saying(shaky.topic, "key", 4)]))
    await until(lambda: {2, 4} <= set(notebook.noted), seconds=60)
    await until(lambda: is_empty(shaky))


async def test_what_a_broker_that_was_away_did_not_take_goes_out_in_order_when_it_is_back(
    shaky: World, own_broker: LocalBroker | ApacheKafka
) -> None:
    bus = await shaky.start()
    own_broker.kill()
    acknowledged = [await bus.publisher.send([saying(shaky.topic, "key", number)]) for number in range(3)]
    await until_the_first_try_is_over(shaky, bus)
    acknowledged += [await bus.publisher.send([saying(shaky.topic, "key", number)]) for number in (3, 4)]
    own_broker.start(timeout_seconds=90)
    async with asyncio.timeout(60):
        await asyncio.gather(*acknowledged)
    records = await shaky.on_the_bus(shaky.topic.name, 5)
    found = [msgspec.json.decode(record.value, type=Noted).number for record in records]
    assert list(dict.fromkeys(found)) == [0, 1, 2, 3, 4]


async def test_stopping_without_a_broker_ends_and_leaves_no_caller_waiting(
    shaky: World, own_broker: LocalBroker | ApacheKafka
) -> None:
    bus = await shaky.start()
    own_broker.kill()
    row = await commit(shaky, bus.outbox, [1])
    await bus.outbox.publish(row)
    acknowledged = [await bus.publisher.send([saying(shaky.topic, "key", number)]) for number in range(3)]
    async with asyncio.timeout(40):
        await shaky.stop(bus)
    for future in acknowledged:
        assert future.done()
        with pytest.raises(Unavailable):
            future.result()
    (left,) = await shaky.rows(f"SELECT row_id::text FROM {SERVICE}.outbox")
    assert left["row_id"] == row.row_id
