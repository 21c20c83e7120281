"""The broker from the wheel: one address through kills and stops."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tallystick.stack.broker import LocalBroker


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[LocalBroker]:
    broker = LocalBroker(tmp_path / "broker.log")
    broker.start()
    yield broker
    broker.stop()


async def make_topic(broker: LocalBroker) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await admin.start()
    try:
        await admin.create_topics([NewTopic("greetings", num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()


async def topics(broker: LocalBroker) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await admin.start()
    try:
        names: list[str] = await admin.list_topics()
        return names
    finally:
        await admin.close()


async def test_it_carries_a_message(broker: LocalBroker) -> None:
    await make_topic(broker)
    async with AIOKafkaProducer(bootstrap_servers=broker.address, acks="all", enable_idempotence=False) as producer:
        await producer.send_and_wait("greetings", b"hello")
    async with AIOKafkaConsumer(
        "greetings", bootstrap_servers=broker.address, auto_offset_reset="earliest", enable_auto_commit=False
    ) as consumer:
        assert (await consumer.getone()).value == b"hello"


async def test_a_killed_one_comes_back_at_its_address_and_has_forgotten_everything(broker: LocalBroker) -> None:
    await make_topic(broker)
    assert "greetings" in await topics(broker)
    address = broker.address
    broker.kill()
    broker.start()
    assert broker.address == address
    assert await topics(broker) == []
