"""A broker within the process of a simulation: it keeps logs in memory, and loses, repeats and delays as it is told."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaConnectionError, UnknownMemberIdError

from tests.support.simulated_faults import Faults

Record: TypeAlias = ConsumerRecord

_SLOW_SECONDS = 0.3


class Listener(Protocol):
    """Who is told which partitions he has."""

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None: ...

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None: ...


class SimulatedBroker:
    """Logs by partition, offsets by group. `forget` is what a broker in memory does when it is killed."""

    def __init__(self, faults: Faults) -> None:
        """Begin empty."""
        self.faults = faults
        self.logs: defaultdict[TopicPartition, list[Record]] = defaultdict(list)
        self.offsets: defaultdict[str, dict[TopicPartition, int]] = defaultdict(dict)
        self.epoch = 0
        """How often everything was forgotten."""
        self.grown = asyncio.Event()
        """Set, and replaced by a new one, when there is something new anywhere, or everything is gone."""

    def append(self, partition: TopicPartition, key: bytes | None, value: bytes, headers: Sequence[Any]) -> None:
        """Keep one record, and wake who waits for some."""
        log = self.logs[partition]
        moment = int(time.time() * 1000)
        record = ConsumerRecord(
            partition.topic,
            partition.partition,
            len(log),
            moment,
            0,
            key,
            value,
            None,
            len(key or b""),
            len(value),
            tuple(headers),
        )
        log.append(record)
        if len(log) > 1 and self.faults.happens(self.faults.rates.repeated_late):
            log.append(replace(self.faults.rng.choice(log), offset=len(log)))
        self._wake()

    def forget(self) -> None:
        """Lose every record and every offset."""
        self.logs.clear()
        self.offsets.clear()
        self.epoch += 1
        self._wake()

    def _wake(self) -> None:
        self.grown.set()
        self.grown = asyncio.Event()


class _Builder:
    """What aiokafka calls a batch builder: records for one partition."""

    def __init__(self) -> None:
        self.records: list[tuple[bytes | None, bytes, Sequence[Any]]] = []

    def append(self, *, timestamp: None, key: bytes | None, value: bytes, headers: Sequence[Any]) -> object:
        self.records.append((key, value, headers))
        return self


class SimulatedProducer:
    """The part of aiokafka's producer that our publisher uses. What it was killed over is gone."""

    def __init__(self, broker: SimulatedBroker, is_alive: "Alive") -> None:
        """Send for a process, as long as that lives."""
        self._broker = broker
        self._is_alive = is_alive
        self._last: asyncio.Task[None] | None = None

    def create_batch(self) -> _Builder:
        """Begin a batch."""
        return _Builder()

    async def send_batch(self, builder: _Builder, topic: str, *, partition: int) -> "asyncio.Future[None]":
        """Take a batch; the future tells whether the broker has it, as far as it said so."""
        sent = asyncio.get_running_loop().create_task(self._deliver(builder, TopicPartition(topic, partition)))
        sent.add_done_callback(lambda done: done.cancelled() or done.exception())
        return sent

    async def stop(self) -> None:
        """End."""

    async def _deliver(self, builder: _Builder, partition: TopicPartition) -> None:
        faults = self._broker.faults
        rates = faults.rates
        await asyncio.sleep(faults.rng.uniform(0, _SLOW_SECONDS) if faults.happens(rates.slow) else 0)
        if not self._is_alive() or faults.happens(rates.publish_refused):
            raise KafkaConnectionError("the broker is away")
        for record in builder.records:
            self._broker.append(partition, *record)
        if faults.happens(rates.acknowledgement_lost):
            raise KafkaConnectionError("the broker did not say that it has it")


class Alive(Protocol):
    """Tells whether a process still lives."""

    def __call__(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Membership:
    """How a consumer reads: as a member of a group, from where that ended, or alone, from the tip."""

    group: str | None
    max_records: int


class SimulatedConsumer:
    """The part of aiokafka's consumer that `Delivery` uses, and the loop that FastStream would run."""

    def __init__(
        self,
        broker: SimulatedBroker,
        partitions: Sequence[TopicPartition],
        membership: Membership,
        is_alive: Alive,
    ) -> None:
        """Read these partitions, all of them: each group has one member here."""
        self._broker = broker
        self._partitions = list(partitions)
        self._membership = membership
        self._is_alive = is_alive
        self._positions: dict[TopicPartition, int] = {}
        self._epoch = broker.epoch
        if membership.group is None:
            self._positions = {partition: len(broker.logs[partition]) for partition in partitions}

    def assignment(self) -> set[TopicPartition]:
        """Return what this consumer reads."""
        return set(self._positions)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Go on from here."""
        self._positions[partition] = offset

    def highwater(self, partition: TopicPartition) -> int:
        """Return the end of the log."""
        return len(self._broker.logs[partition])

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Tell the broker how far the group is. Raises: what aiokafka raises when it does not hear of it."""
        if not self._is_alive() or self._epoch != self._broker.epoch:
            raise UnknownMemberIdError(self._membership.group)
        self._broker.offsets[str(self._membership.group)].update(offsets)

    async def join(self, listener: Listener) -> None:
        """Take part again, from where the group is by what the broker knows."""
        gone = sorted(self._positions)
        if gone:
            await listener.on_partitions_revoked(gone)
        self._epoch = self._broker.epoch
        known = self._broker.offsets[str(self._membership.group)]
        self._positions = {partition: known.get(partition, 0) for partition in self._partitions}
        await listener.on_partitions_assigned(self._partitions)

    async def next_records(self) -> tuple[Record, ...]:
        """Wait for records, and return some of one partition; () when the broker has forgotten everything."""
        while True:
            grown = self._broker.grown
            if self._epoch != self._broker.epoch:
                return ()
            waiting = [one for one in self._partitions if self._positions.get(one, 0) < self.highwater(one)]
            if waiting:
                return self._read(self._broker.faults.rng.choice(waiting))
            await grown.wait()

    def go_to_tip(self) -> None:
        """Read what comes from now on: what a reader without a group does after a broker forgot."""
        self._epoch = self._broker.epoch
        self._positions = dict.fromkeys(self._partitions, 0)

    def _read(self, partition: TopicPartition) -> tuple[Record, ...]:
        begin = self._positions.get(partition, 0)
        size = self._broker.faults.rng.randint(1, self._membership.max_records)
        records = tuple(self._broker.logs[partition][begin : begin + size])
        self._positions[partition] = begin + len(records)
        return records
