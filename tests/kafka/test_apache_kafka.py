"""The Apache Kafka of this lane keeps what it acknowledged when it is killed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tallystick.stack.errors import StartFailed
from tests.support.kafka import ApacheKafka, build


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[ApacheKafka]:
    broker = ApacheKafka(tmp_path)
    broker.start()
    yield broker
    broker.stop()


async def test_an_acknowledged_message_survives_a_kill(kafka: ApacheKafka) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.address)
    await admin.start()
    await admin.create_topics([NewTopic("greetings", num_partitions=1, replication_factor=1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=kafka.address, acks="all", enable_idempotence=True) as producer:
        await producer.send_and_wait("greetings", b"hello")
    kafka.kill()
    kafka.start()
    async with AIOKafkaConsumer(
        "greetings", bootstrap_servers=kafka.address, auto_offset_reset="earliest", enable_auto_commit=False
    ) as consumer:
        assert (await consumer.getone()).value == b"hello"


def test_without_a_jdk_the_lane_fails_and_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for tool in ("dirname", "bash"):
        (tmp_path / tool).symlink_to(f"/usr/bin/{tool}")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StartFailed, match="'java' is not on the PATH"):
        build()
