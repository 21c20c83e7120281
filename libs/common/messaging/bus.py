"""One process's part in the bus: its subscriptions, its tip readers, its publisher, outbox and dead letters.

FastStream runs the consume loops. Every option is written out, because its defaults lose messages: acknowledge first,
start at the newest, reply to whoever asks.
"""

import asyncio
import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, cast

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, TopicPartition
from faststream.kafka.message import FAKE_CONSUMER, KafkaAckableMessage
from faststream.kafka.subscriber.usecase import BatchSubscriber
from faststream.message import StreamMessage

from libs.common.clock import Clock
from libs.common.contracts.topics import ALL_TOPICS, Topic
from libs.common.db.hot import HotConnection
from libs.common.loops import end, say_when_it_ends
from libs.common.messaging.consumer import PatientConsumer
from libs.common.messaging.delivery import Delivery, Subscription
from libs.common.messaging.outbox import Outbox
from libs.common.messaging.park_message import DeadLetters
from libs.common.messaging.publisher import Publisher
from libs.common.messaging.records import Glimpse, glimpses
from libs.common.messaging.topics_admin import MAX_MESSAGE_BYTES, watch_topics
from libs.common.messaging.watch_letters import watch_letters
from libs.common.settings import ServiceSettings

log = structlog.get_logger()

Follow = Callable[[Sequence[Glimpse]], None]
"""Looks at messages as they come, undecoded, and must not fail; a tip reader has no retry and no dead letters."""

_REST_SECONDS: Final = 0.1
_LEISURELY: Final = 5
_STOP_SECONDS: Final = 12.0
_GRACEFUL_SECONDS: Final = 8.0
_CUT_SECONDS: Final = 1.0


class Bus:
    """Connects a service. Subscribe before `start`; stop in reverse."""

    def __init__(
        self, settings: ServiceSettings, *, service: str, clock: Clock, topics: Sequence[Topic] = ALL_TOPICS
    ) -> None:
        """Construct the parts; nothing connects yet. `topics` is what it makes sure of on the broker."""
        self._settings = settings
        self._topics = topics
        dsn = settings.postgres_dsn.get_secret_value()
        self._connection = HotConnection(dsn, f"{service}-outbox")
        self.publisher = Publisher(
            settings.kafka, idempotence=settings.kafka_idempotence, client_id=f"tallystick-{service}", topics=topics
        )
        self.outbox = Outbox(service, self.publisher, self._connection)
        self.dead_letters = DeadLetters(service, self._connection, self.outbox, clock)
        self._deliveries: list[tuple[Delivery, BatchSubscriber]] = []
        self._followers: list[BatchSubscriber] = []
        self._tips_fixed = False
        self._watch: asyncio.Task[None] | None = None
        self._letters_watch: asyncio.Task[None] | None = None
        # Producing is the publisher's; without `consumer_only` FastStream would keep a second producer open.
        self._broker = KafkaBroker(
            settings.kafka.split(","),
            client_id=f"tallystick-{service}",
            consumer_only=True,
            allow_auto_create_topics=False,
            graceful_timeout=_CUT_SECONDS,  # `drain` has waited for the running batches already
            request_timeout_ms=5000,
            retry_backoff_ms=100,
            apply_types=False,
            logger=logging.getLogger("tallystick.consumers"),
            log_level=logging.DEBUG,
        )

    def subscribe(self, subscription: Subscription) -> None:
        """Consume a topic as a group, with delivery's guarantees."""
        delivery = Delivery(subscription, self.dead_letters)
        subscriber = self._broker.subscriber(
            *(topic.name for topic in (subscription.topic, *subscription.also)),
            batch=True,
            group_id=subscription.group,
            group_instance_id=self._instance(subscription.group),
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="earliest",
            isolation_level="read_uncommitted",
            no_reply=True,
            max_records=subscription.max_messages,
            batch_timeout_ms=1000,
            max_poll_interval_ms=300_000,
            rebalance_timeout_ms=60_000,
            listener=delivery,
            parser=_keep_raw,
            decoder=_raw_records,
            **self._fetching(
                wait_ms=self._settings.kafka_fetch_max_wait_ms
                if subscription.urgent
                else self._settings.kafka_patient_fetch_max_wait_ms
            ),
        )
        subscriber(delivery.on_batch)
        self._deliveries.append((delivery, subscriber))

    def follow(self, looks: Mapping[Topic, Follow], *, urgent: bool = True, patient: bool = False) -> None:
        """Read topics from their tips, in this process alone and without a group: for waiters, never for effects.

        One consumer for all of a call: each polls the broker on its own, idle or not. What comes ten milliseconds late
        on the local broker without harm is not `urgent`; each topic makes a poll longer for those beside it. What may
        come half a second late is `patient`.
        """
        settings = self._settings
        wait_ms = settings.kafka_fetch_max_wait_ms * (1 if urgent else _LEISURELY)
        by_name = {topic.name: look for topic, look in looks.items()}

        async def on_batch(records: Sequence[ConsumerRecord[Any, Any]]) -> None:
            for name, run in itertools.groupby(records, key=lambda record: record.topic):
                by_name[name]([glimpse for record in run for glimpse in glimpses(record)])

        subscriber = self._broker.subscriber(
            partitions=[TopicPartition(topic.name, number) for topic in looks for number in range(topic.partitions)],
            batch=True,
            group_id=None,
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="latest",
            isolation_level="read_uncommitted",
            no_reply=True,
            max_records=1000,
            batch_timeout_ms=1000,
            parser=_keep_raw,
            decoder=_raw_records,
            **self._fetching(wait_ms=settings.kafka_patient_fetch_max_wait_ms if patient else wait_ms),
        )
        subscriber(on_batch)
        self._followers.append(subscriber)

    async def start(self) -> None:
        """Make the topics, connect everything, sweep what an earlier process left. Raises: Unavailable."""
        await self._connection.connect()
        await self.publisher.start()
        await self._broker.connect()
        config = self._broker.config.broker_config
        options = cast("partial[AIOKafkaConsumer]", config.builder).keywords
        config.builder = partial(PatientConsumer, broker_forgets=not self._settings.kafka_idempotence, **options)
        # All at once instead of `broker.start()`, one after the other: joining a group takes seconds.
        await asyncio.gather(*(subscriber.start() for subscriber in self._broker.subscribers))
        for delivery, subscriber in self._deliveries:
            delivery.attach(partial(getattr, subscriber, "consumer"))
            if not delivery.subscription.urgent and subscriber.consumer is not None:
                cast("PatientConsumer", subscriber.consumer).rest_seconds = _REST_SECONDS
        await self.outbox.start()
        for subscriber in self._followers:
            await _fix_position(subscriber.consumer)
        self._tips_fixed = True
        self._watch = asyncio.create_task(watch_topics(self._settings.kafka, self._topics), name="topics-watch")
        if self._deliveries:
            looking = watch_letters(self.dead_letters.standing, [delivery for delivery, _ in self._deliveries])
            self._letters_watch = say_when_it_ends(asyncio.create_task(looking, name="letters-watch"))

    async def stop(self) -> None:
        """Finish running batches, commit offsets, send what waits, disconnect; all within a bound."""
        await end(*(watch for watch in (self._watch, self._letters_watch) if watch is not None))
        await asyncio.gather(*(delivery.drain(_GRACEFUL_SECONDS) for delivery, _ in self._deliveries))
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._broker.stop()
        except (TimeoutError, KafkaError, ExceptionGroup) as failure:
            log.warning("bus_stopped_roughly", error=repr(failure))
        await self.publisher.stop()
        await self.outbox.stop()
        await self._connection.close()

    def what_is_wrong(self) -> str | None:
        """Return why this process is not ready, or None; a worker is when its groups have taken it in."""
        for delivery, subscriber in self._deliveries:
            group = delivery.subscription.group
            if delivery.stopped_because is not None:
                return f"consumer {group} has stopped: {delivery.stopped_because}"
            if _has_ended(subscriber) or delivery.has_ended():
                return f"consumer {group} has ended"
            if not delivery.has_joined():
                return f"consumer {group} has not been taken into its group yet"
        if self._letters_watch is not None and self._letters_watch.done():
            return "nobody looks at the dead letters any more"
        if not self._tips_fixed:
            return "the tip reader's position is not fixed yet"
        if any(map(_has_ended, self._followers)):
            return "a tip reader has ended"
        if not self.publisher.is_connected():
            return "the message broker did not take the last batch; it is tried again"
        return self.outbox.what_is_wrong()

    def _fetching(self, *, wait_ms: int) -> dict[str, Any]:
        settings = self._settings
        return {
            "fetch_max_wait_ms": wait_ms,
            "max_partition_fetch_bytes": MAX_MESSAGE_BYTES,
            "session_timeout_ms": settings.kafka_session_timeout_ms,
            "heartbeat_interval_ms": max(200, settings.kafka_session_timeout_ms // 5),
        }

    def _instance(self, group: str) -> str | None:
        return f"{group}.{self._settings.kafka_instance}" if self._settings.kafka_instance else None


def _has_ended(subscriber: BatchSubscriber) -> bool:
    """Tell whether it asks the broker no more: FastStream begins a loop anew that failed, but not one that was cut."""
    return bool(subscriber.tasks) and all(task.done() for task in subscriber.tasks)


async def _fix_position(consumer: AIOKafkaConsumer | None) -> None:
    """Ask where the tip is now, so that nothing published after this is missed."""
    if consumer is None:
        return
    for partition in consumer.assignment():
        await consumer.position(partition)


async def _keep_raw(records: tuple[ConsumerRecord[Any, Any], ...]) -> KafkaAckableMessage:
    """Parse nothing: FastStream's own parser loses a whole batch for one null or non-UTF-8 header."""
    return KafkaAckableMessage(raw_message=records, body=b"", correlation_id="-", consumer=FAKE_CONSUMER)


async def _raw_records(message: StreamMessage[Any]) -> Any:
    return message.raw_message
