"""A service's part in the simulated bus: real delivery, publisher, outbox and dead letters over a broker of ours."""

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from functools import partial

from aiokafka import TopicPartition

from libs.common.clock import Clock
from libs.common.contracts.topics import Topic
from libs.common.db.hot import HotConnection
from libs.common.messaging.bus import Follow
from libs.common.messaging.delivery import Delivery, Subscription
from libs.common.messaging.outbox import Outbox
from libs.common.messaging.park_message import DeadLetters
from libs.common.messaging.publisher import Publisher
from libs.common.messaging.records import glimpses
from libs.common.settings import ServiceSettings
from tests.support.simulated_broker import Membership, Process, SimulatedBroker, SimulatedConsumer, SimulatedProducer

_TIP = Membership(None, 1000)
_DRAIN_SECONDS = 2.0


class SimulatedPublisher(Publisher):
    """The publisher as it is, but for the connection."""

    def __init__(self, service: str, broker: SimulatedBroker, process: Process) -> None:
        super().__init__("simulated", idempotence=False, client_id=service)
        self._broker = broker
        self._process = process

    async def _connect(self) -> None:
        self._producer = SimulatedProducer(self._broker, self._process)
        self._broken = False


class SimulatedBus:
    """What `Bus` is to a service; subscribe before `start`."""

    def __init__(
        self, settings: ServiceSettings, *, service: str, clock: Clock, broker: SimulatedBroker, process: Process
    ) -> None:
        """Construct the parts; nothing connects yet."""
        self._broker = broker
        self._process = process
        self._connection = HotConnection(settings.postgres_dsn.get_secret_value(), f"{service}-outbox")
        self.publisher: Publisher = SimulatedPublisher(service, broker, process)
        self.outbox = Outbox(service, self.publisher, self._connection)
        self.dead_letters = DeadLetters(service, self._connection, self.outbox, clock)
        self._deliveries: list[Delivery] = []
        self._looks: list[Mapping[Topic, Follow]] = []
        self._tasks: list[asyncio.Task[None]] = []

    def subscribe(self, subscription: Subscription) -> None:
        """Consume a topic as a group."""
        self._deliveries.append(Delivery(subscription, self.dead_letters))

    def follow(self, looks: Mapping[Topic, Follow], *, urgent: bool = True, patient: bool = False) -> None:
        """Read topics from their tips."""
        self._looks.append(looks)

    async def start(self) -> None:
        """Connect, join the groups, sweep what an earlier process left. Raises: Unavailable."""
        await self._connection.connect()
        await self.publisher.start()
        for looks in self._looks:
            consumer = SimulatedConsumer(self._broker, _partitions_of(looks), _TIP, self._process)
            self._tasks.append(asyncio.create_task(_follow(consumer, looks)))
        for delivery in self._deliveries:
            subscription = delivery.subscription
            consumer = SimulatedConsumer(
                self._broker,
                _partitions_of((subscription.topic, *subscription.also)),
                Membership(subscription.group, subscription.max_messages),
                self._process,
            )
            delivery.attach(partial(_itself, consumer))
            self._tasks.append(asyncio.create_task(self._consume(consumer, delivery)))
        await self.outbox.start()

    async def stop(self) -> None:
        """Finish running batches, commit offsets, send what waits."""
        await asyncio.gather(*(delivery.drain(_DRAIN_SECONDS) for delivery in self._deliveries))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.publisher.stop()
        await self.outbox.stop()
        await self._connection.close()

    def what_is_wrong(self) -> str | None:
        """Return which consumer has stopped for good, or None."""
        return next(
            (
                f"{delivery.subscription.group} has stopped: {delivery.stopped_because}"
                for delivery in self._deliveries
                if delivery.stopped_because is not None
            ),
            None,
        )

    async def _consume(self, consumer: SimulatedConsumer, delivery: Delivery) -> None:
        faults = self._broker.faults
        await consumer.join(delivery)
        while True:
            records = await consumer.next_records()
            if not records or faults.happens(faults.rates.read_again):
                await consumer.join(delivery)
            else:
                await delivery.on_batch(records)


def _itself(consumer: SimulatedConsumer) -> SimulatedConsumer:
    return consumer


async def _follow(consumer: SimulatedConsumer, looks: Mapping[Topic, Follow]) -> None:
    by_name = {topic.name: look for topic, look in looks.items()}
    while True:
        records = await consumer.next_records()
        if not records:
            consumer.go_to_tip()
        for name, run in itertools.groupby(records, key=lambda record: record.topic):
            by_name[name]([glimpse for record in run for glimpse in glimpses(record)])


def _partitions_of(topics: Sequence[Topic] | Mapping[Topic, Follow]) -> list[TopicPartition]:
    return [TopicPartition(topic.name, number) for topic in topics for number in range(topic.partitions)]
