"""At-least-once delivery of one topic to one consumer group: the rules of architecture/delivery.md, in one place.

A batch is one unit of work. What the handler raises decides:
  Unavailable      the same batch again, in order, after a growing pause with jitter
  InvariantBroken  the consumer stops here, nothing is acknowledged, the process is not ready; so it does when a
                   message can be neither processed nor parked
  anything else    the batch is split until the guilty message stands alone; it is parked, the others go through, but
                   for later ones of its key where the topic's contract has them wait
Offsets are a hint, committed every 500 ms, on revocation and on stop; natural keys make the effect once. While one
message after the other is parked they stand still, so that whoever comes next counts the row from its beginning.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from libs.common.clock import monotonic_seconds
from libs.common.contracts.topics import Topic
from libs.common.crash_points import reached
from libs.common.errors import InvariantBroken, Unavailable
from libs.common.messaging.letters_of_group import LettersOfGroup
from libs.common.messaging.park_message import DeadLetters
from libs.common.messaging.records import Reader, Received
from libs.common.telemetry.metrics import (
    BATCH_MESSAGES,
    BATCH_RETRIES,
    BATCH_SECONDS,
    CONSUMER_LAG_RECORDS,
)

log = structlog.get_logger()

Handle = Callable[[Sequence[Received]], Awaitable[None]]

_COMMIT_SECONDS: Final = 0.5
_FIRST_PAUSE_SECONDS: Final = 0.02
_LONGEST_PAUSE_SECONDS: Final = 2.0
_GIVE_BACK_SECONDS: Final = 120.0
"""Well inside the poll interval (300 s): a batch that is still unavailable then is fetched anew, in order."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Subscription:
    """A consumer group of one topic. `handle` does one unit of work for a whole batch, all or nothing."""

    group: str
    topic: Topic
    handle: Handle
    max_messages: int = 500
    also: tuple[Topic, ...] = ()
    """Further topics of the same messages: one group for all costs one poll instead of one each."""
    urgent: bool = False
    """Whether a caller waits for what this group does: then it is fetched without delay."""


class _GivenBack(Exception):
    """The batch is left unacknowledged: its partition was revoked, or it waited too long."""


class Delivery(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """Runs one subscription. Also the rebalance listener: a revoked partition waits for the running batch."""

    def __init__(self, subscription: Subscription, dead_letters: DeadLetters) -> None:
        """Hold the subscription; the bus gives the consumer when it starts."""
        self.subscription = subscription
        self.stopped_because: str | None = None
        self._consumer_of: Callable[[], AIOKafkaConsumer | None] = lambda: None
        self._letters = LettersOfGroup(subscription.group, subscription.topic, dead_letters, self._until_available)
        self._reader = Reader(subscription.topic)
        self._working = asyncio.Lock()
        self._leaving = 0  # how many wait for the running batch to end: a revocation, a stop
        self._owned: set[TopicPartition] = set()
        self._has_joined = False
        self._done: dict[TopicPartition, int] = {}
        self._may_commit: dict[TopicPartition, int] = {}  # what is done, as of the last message that was handled
        self._committed: dict[TopicPartition, int] = {}
        self._committer: asyncio.Task[None] | None = None
        group = subscription.group
        self._seconds = BATCH_SECONDS.labels(group)
        self._messages = BATCH_MESSAGES.labels(group)
        self._lag = CONSUMER_LAG_RECORDS.labels(group)

    def attach(self, consumer_of: Callable[[], AIOKafkaConsumer | None]) -> None:
        """Learn where the running consumer is to be found and begin committing its offsets."""
        self._consumer_of = consumer_of
        self._committer = asyncio.create_task(self._keep_committing(), name=f"{self.subscription.group}-offsets")

    async def drain(self, within_seconds: float) -> None:
        """Let the running batch finish, begin no other, commit what is done. A batch that takes longer comes again."""
        self._leaving += 1
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_seconds), self._working:
                self.stopped_because = self.stopped_because or "the process is stopping"
        if self._committer is not None:
            self._committer.cancel()
            await asyncio.gather(self._committer, return_exceptions=True)
        await self._commit()

    def has_joined(self) -> bool:
        """Tell whether the group has taken this process in: only then is a worker ready.

        It may have given it nothing, because others of the service have every partition there is. Whoever stands by is
        ready: a rollout that waits for the new process before it ends the old one would wait for ever.
        """
        consumer = self._consumer_of()
        if consumer is None:
            return False
        is_provided = self._has_joined and bool(consumer.partitions_for_topic(self.subscription.topic.name))
        return bool(consumer.assignment()) or is_provided

    def has_ended(self) -> bool:
        """Tell whether nobody commits offsets any more, though the consumer goes on."""
        return self._committer is not None and self._committer.done()

    async def on_batch(self, records: Sequence[ConsumerRecord[Any, Any]]) -> None:
        """Process one poll's records and remember how far we are."""
        async with self._working:
            if self.stopped_because is not None:
                # Read past, but never processed nor acknowledged: the successor begins where this one stopped.
                await asyncio.sleep(_LONGEST_PAUSE_SECONDS)
                return
            if not self._owns(records):
                # Revoked between the poll and now; another consumer may have them already.
                self._give_back(records)
                await asyncio.sleep(_FIRST_PAUSE_SECONDS)
                return
            try:
                if not self._letters.is_learned:
                    await self._letters.learn(self._owned)
                await self._process(records)
            except _GivenBack:
                self._letters.is_learned = False  # what was ready to go on may have been given back with it
                self._give_back(records)
                return
            except Exception as broken:  # noqa: BLE001 -- beside InvariantBroken: parking failed, so nothing may pass
                self._stop_for_good(broken)
                return
            ends = {(record.topic, record.partition): record.offset + 1 for record in records}
            self._done.update((TopicPartition(*place), end) for place, end in ends.items())
            self._allow_commit()
            reached("delivery.before_offset_commit")

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Wait for the running batch, then commit: the next owner begins where this one really ended."""
        self._leaving += 1
        try:
            async with self._working:
                self._owned.difference_update(revoked)
                await self._commit()
                for partition in revoked:
                    self._done.pop(partition, None)
                    self._may_commit.pop(partition, None)
                    self._committed.pop(partition, None)
        finally:
            self._leaving -= 1

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Remember and say what this process now owns."""
        self._owned.update(assigned)
        self._has_joined = True
        self._letters.is_learned = False  # whoever had these may have parked
        log.info("partitions_assigned", group=self.subscription.group, partitions=[p.partition for p in assigned])

    async def look_after_letters(self) -> None:
        """Learn what people have decided since, and go on with what waits for nothing any more."""
        async with self._working:
            if self.stopped_because is not None or not self._owned:
                return
            try:
                await self._letters.learn(self._owned)
                await self._go_on()
            except _GivenBack:
                return
            except Exception as broken:  # noqa: BLE001 -- as in a batch
                self._stop_for_good(broken)
                return
            self._allow_commit()

    def _allow_commit(self) -> None:
        if self._letters.parked_in_a_row == 0:
            self._may_commit.update(self._done)

    async def _go_on(self) -> None:
        """Handle what waited for a parked message that is handled, or given up."""
        while (received := await self._letters.next_ready()) is not None:
            await self._deliver([received])

    async def _process(self, records: Sequence[ConsumerRecord[Any, Any]]) -> None:
        batch: list[Received] = []
        for record in records:
            for found in self._reader.read(record):
                if isinstance(found, Received):
                    batch.append(found)
                    continue
                # In order: what came before it is done before it is parked.
                await self._deliver_in_parts(batch)
                batch = []
                await self._letters.park(found.record, None, found.cause)
        await self._deliver_in_parts(batch)
        await self._go_on()

    async def _deliver_in_parts(self, batch: list[Received]) -> None:
        """Give the handler as many messages at a time as it takes; a record may bring more than one."""
        size = self.subscription.max_messages
        for begin in range(0, len(batch), size):
            await self._deliver(batch[begin : begin + size])

    async def _deliver(self, batch: list[Received]) -> None:
        batch = await self._letters.free_of(batch)
        if not batch:
            return
        try:
            await self._until_available(lambda: self._timed(batch))
        except (_GivenBack, InvariantBroken):
            raise
        except Exception as cause:  # noqa: BLE001 -- whatever it is, it is deterministic: it must not stop the others
            if len(batch) == 1:
                (guilty,) = batch
                await self._letters.park(guilty.as_record(), guilty.message, cause)
                return
            middle = len(batch) // 2
            await self._deliver(batch[:middle])
            await self._deliver(batch[middle:])
        else:
            await self._letters.note_handled(batch)

    async def _timed(self, messages: list[Received]) -> None:
        began = monotonic_seconds()
        await self.subscription.handle(messages)
        self._seconds.observe(monotonic_seconds() - began)
        self._messages.observe(len(messages))

    async def _until_available(self, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """Repeat the work while something is away; give the batch back when it is revoked or has waited too long."""
        pause = _FIRST_PAUSE_SECONDS
        give_back_at = monotonic_seconds() + _GIVE_BACK_SECONDS
        while True:
            try:
                return await work()
            except Unavailable as reason:
                BATCH_RETRIES.labels(self.subscription.group, reason.code).inc()
                if pause >= _LONGEST_PAUSE_SECONDS:
                    log.warning("batch_waits", group=self.subscription.group, code=reason.code)
                if self._leaving or monotonic_seconds() > give_back_at:
                    raise _GivenBack from reason
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 -- jitter, not a secret
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    def _owns(self, records: Sequence[ConsumerRecord[Any, Any]]) -> bool:
        return {(record.topic, record.partition) for record in records} <= self._owned

    def _give_back(self, records: Sequence[ConsumerRecord[Any, Any]]) -> None:
        consumer = self._consumer_of()
        if consumer is None:
            return
        first: dict[TopicPartition, int] = {}
        for record in records:
            first.setdefault(TopicPartition(record.topic, record.partition), record.offset)
        for partition, offset in first.items():
            if partition in consumer.assignment():
                consumer.seek(partition, offset)

    def _stop_for_good(self, broken: Exception) -> None:
        self.stopped_because = str(broken)
        log.critical("consumer_stopped", group=self.subscription.group, reason=str(broken), exc_info=broken)

    async def _keep_committing(self) -> None:
        while True:
            await asyncio.sleep(_COMMIT_SECONDS)
            await self._commit()

    async def _commit(self) -> None:
        consumer = self._consumer_of()
        if consumer is None:
            return
        assigned = consumer.assignment()
        self._lag.set(sum(self._lag_of(consumer, partition) for partition in assigned))
        moved = {
            partition: offset
            for partition, offset in self._may_commit.items()
            if partition in assigned and self._committed.get(partition) != offset
        }
        if not moved:
            return
        try:
            async with asyncio.timeout(_LONGEST_PAUSE_SECONDS):
                await consumer.commit(moved)
        except (KafkaError, OSError, TimeoutError) as failure:
            # Only a hint is lost: the messages come again and are answered again.
            log.info("offsets_not_committed", group=self.subscription.group, error=type(failure).__name__)
        else:
            self._committed.update(moved)

    def _lag_of(self, consumer: AIOKafkaConsumer, partition: TopicPartition) -> int:
        end = consumer.highwater(partition)
        done = self._done.get(partition)
        return max(0, end - done) if end is not None and done is not None else 0
