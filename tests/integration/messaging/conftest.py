"""A small service of the suite's own between a real broker and a real PostgreSQL: own schema, own topics."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import asyncpg
import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from pydantic import SecretStr

from libs.common.clock import system_clock
from libs.common.contracts.base import Message
from libs.common.contracts.topics import Topic, audit_entries_of, dead_letters_of
from libs.common.db.shared_tables import audit_log_sql, dead_letters_sql, key_queues_sql, outbox_sql
from libs.common.ids import new_id
from libs.common.messaging.bus import Bus
from libs.common.messaging.delivery import Handle, Subscription
from libs.common.messaging.records import Received
from libs.common.messaging.topics_admin import MAX_MESSAGE_BYTES
from libs.common.settings import ServiceSettings
from tallystick.stack.broker import LocalBroker
from tallystick.stack.service_settings import dsn_of_role
from tests.support.broker import BrokerAddress
from tests.support.bus_records import apart
from tests.support.kafka import ApacheKafka

SERVICE = "kyc"
PASSWORD = "only for a test"
SESSION_MS = 2000

ADMINISTRATOR = "01990000-0000-7000-8000-00000000000a"
NO_ADMINISTRATOR = "01990000-0000-7000-8000-00000000000b"
_STAFF = f"""
CREATE SCHEMA accounts;
CREATE TABLE accounts.customers (user_id uuid, roles text[], status text, deleted_at timestamptz);
INSERT INTO accounts.customers VALUES
    ('{ADMINISTRATOR}', '{{admin}}', 'active', NULL), ('{NO_ADMINISTRATOR}', '{{operator}}', 'active', NULL);
"""

Headers = Sequence[tuple[str, bytes | None]]


class Noted(Message, frozen=True, gc=False, kw_only=True):
    """A message of this suite."""

    TYPE: ClassVar[str] = "tallystick.test.noted.v1"
    number: int


def noted(number: int) -> bytes:
    return msgspec.json.encode(Noted(number=number))


def headers(message_id: str | None = None, kind: str = Noted.TYPE) -> Headers:
    return [("ce_id", (message_id or new_id()).encode()), ("ce_type", kind.encode())]


def numbers(batch: Sequence[Received]) -> list[int]:
    return [received.message.number for received in batch if isinstance(received.message, Noted)]


async def until(fulfilled: Callable[[], bool | Awaitable[bool]], seconds: float = 30) -> None:
    """Wait until it is so; a test that waits in vain names its own line."""
    deadline = time.monotonic() + seconds
    while True:
        found = fulfilled()
        if found if isinstance(found, bool) else await found:
            return
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.02)


@dataclass
class Notebook:
    """A handler that is all or nothing: it notes a batch's numbers, unless `before` raises."""

    before: Callable[[list[int]], object] = lambda _: None
    noted: list[int] = field(default_factory=list)
    batches: list[list[int]] = field(default_factory=list)

    async def __call__(self, batch: Sequence[Received]) -> None:
        found = numbers(batch)
        self.batches.append(found)
        answer = self.before(found)
        if isinstance(answer, Awaitable):
            await answer
        self.noted += found


class World:
    """One topic, one group, one database; processes are buses that a test starts and stops."""

    def __init__(self, broker: BrokerAddress, admin_dsn: str, *, partitions: int = 1, waits_because: str = "") -> None:
        self.broker = broker
        self.admin_dsn = admin_dsn
        name = f"test.notes-{uuid4().hex[:8]}.v1"
        self.topic = Topic(name, "test", "number", "it is a test", (Noted,), partitions, waits_because=waits_because)
        self.topics = (self.topic, dead_letters_of(SERVICE), audit_entries_of(SERVICE))
        self.group = f"delivery.note-{uuid4().hex[:8]}"
        self.running: list[Bus] = []
        self.fetch_max_wait_ms = 5

    def settings(self) -> ServiceSettings:
        return ServiceSettings(
            postgres_dsn=SecretStr(dsn_of_role(self.admin_dsn, f"tallystick_{SERVICE}", PASSWORD)),
            http_port=1,
            kafka=self.broker.address,
            kafka_idempotence=self.broker.idempotence,
            kafka_fetch_max_wait_ms=self.fetch_max_wait_ms,
            kafka_patient_fetch_max_wait_ms=self.fetch_max_wait_ms,
            kafka_session_timeout_ms=SESSION_MS,
            jwks_file=Path("nowhere"),
            internal_token=SecretStr(""),
        )

    async def start(
        self, handle: Handle | None = None, *, max_messages: int = 500, ready: bool = True, follows: bool = False
    ) -> Bus:
        """Start a process, which consumes when it has a handler; return when the group has taken it in."""
        bus = Bus(self.settings(), service=SERVICE, clock=system_clock, topics=self.topics)
        if handle is not None:
            bus.subscribe(Subscription(self.group, self.topic, handle, max_messages=max_messages))
        if follows:
            bus.follow({self.topic: lambda _: None})
        self.running.append(bus)
        await bus.start()
        if ready:
            await until(lambda: bus.what_is_wrong() is None)
        return bus

    async def stop(self, bus: Bus) -> None:
        self.running.remove(bus)
        await bus.stop()

    async def send(
        self, *records: tuple[bytes | None, Headers], key: bytes | None = b"key", partition: int = 0
    ) -> None:
        """Put raw records on the topic, as anybody could who reaches the broker."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self.broker.address,
            enable_idempotence=False,
            max_request_size=MAX_MESSAGE_BYTES,
            max_batch_size=MAX_MESSAGE_BYTES,
        )
        await producer.start()
        try:
            sent = [
                await producer.send(self.topic.name, payload, key=key, headers=list(pairs), partition=partition)
                for payload, pairs in records
            ]
            await asyncio.gather(*sent)
        finally:
            await producer.stop()

    async def send_numbers(self, *found: int, partition: int = 0) -> None:
        await self.send(*((noted(number), headers()) for number in found), partition=partition)

    async def parked(self) -> list[dict[str, Any]]:
        """The dead letters, in the order in which they were first seen."""
        return await self.rows(f"SELECT * FROM {SERVICE}.dead_letters ORDER BY first_seen_at, message_offset")

    async def rows(self, query: str, *arguments: object) -> list[dict[str, Any]]:
        connection = await asyncpg.connect(self.admin_dsn)
        try:
            return [dict(row) for row in await connection.fetch(query, *arguments)]
        finally:
            await connection.close()

    async def committed(self, partition: int = 0) -> int | None:
        """The group's offset as the broker knows it, None when nothing was ever acknowledged."""
        place = TopicPartition(self.topic.name, partition)
        consumer = AIOKafkaConsumer(
            group_id=self.group, bootstrap_servers=self.broker.address, enable_auto_commit=False
        )
        consumer.assign([place])
        await consumer.start()
        try:
            found: int | None = await consumer.committed(place)
        finally:
            await consumer.stop()
        return found

    async def on_the_bus(self, topic: str, enough: int, seconds: float = 30) -> list[Any]:
        """The topic's messages from its beginning, each as a record of its own, at least so many."""
        consumer = AIOKafkaConsumer(
            topic, bootstrap_servers=self.broker.address, auto_offset_reset="earliest", fetch_max_wait_ms=5
        )
        await consumer.start()
        found: list[Any] = []
        try:
            async with asyncio.timeout(seconds):
                while len(found) < enough:
                    taken = await consumer.getmany(timeout_ms=100)
                    found += [alone for records in taken.values() for record in records for alone in apart(record)]
        finally:
            await consumer.stop()
        return found


@pytest.fixture
async def delivery_dsn(database_dsn: str) -> str:
    """Give the administrator's DSN of a database with this suite's schema, and its role allowed what a service is."""
    connection = await asyncpg.connect(database_dsn)
    role = f"tallystick_{SERVICE}"
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
            await connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
        await connection.execute(f"CREATE SCHEMA {SERVICE}; GRANT USAGE ON SCHEMA {SERVICE} TO {role}")
        await connection.execute(outbox_sql(SERVICE) + dead_letters_sql(SERVICE) + key_queues_sql(SERVICE))
        await connection.execute(audit_log_sql(SERVICE) + _STAFF)
    finally:
        await connection.close()
    return database_dsn


@pytest.fixture
async def world(broker: BrokerAddress, delivery_dsn: str) -> AsyncIterator[World]:
    made = World(broker, delivery_dsn)
    yield made
    await asyncio.gather(*(bus.stop() for bus in made.running))


@pytest.fixture
async def ordered(broker: BrokerAddress, delivery_dsn: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Give a world whose topic has later messages of a key wait; what people decide is seen at once."""
    monkeypatch.setattr("libs.common.messaging.watch_letters._LOOK_SECONDS", 0.05)
    made = World(broker, delivery_dsn, waits_because="it is a test")
    yield made
    await asyncio.gather(*(bus.stop() for bus in made.running))


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[LocalBroker | ApacheKafka]:
    """Give a broker that a test may stop and start: Apache Kafka where the suite runs on it, else the wheel's."""
    wanted = os.environ.get("TALLYSTICK_TEST_KAFKA") == "apache"
    broker = ApacheKafka(tmp_path) if wanted else LocalBroker(tmp_path / "broker.log")
    broker.start(timeout_seconds=90)
    yield broker
    broker.stop()


@pytest.fixture
async def shaky(own_broker: LocalBroker | ApacheKafka, delivery_dsn: str) -> AsyncIterator[World]:
    """Give a world on a broker of its own."""
    address = BrokerAddress(own_broker.address, idempotence=isinstance(own_broker, ApacheKafka))
    made = World(address, delivery_dsn)
    yield made
    await asyncio.gather(*(bus.stop() for bus in made.running))
