"""A broker within the process of a simulation: it keeps logs in memory, and loses, repeats and delays as it is told."""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaConnectionError, UnknownMemberIdError

from tests.support.simulated_faults import Faults

Record: TypeAlias = ConsumerRecord

_SLOW_SECONDS = 0.3
_TURN_SECONDS = 0.05
_LOOK_SECONDS = 0.5


class Listener(Protocol):
    """Who is told which partitions he has."""

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None: ...

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None: ...


class Process(Protocol):
    """Whoever reads and sends; once he is killed, nobody hears of him any more."""

    @property
    def is_alive(self) -> bool:
        """Whether he has not been killed."""

    @property
    def dies_at(self) -> Callable[[str], bool]:
        """Tells whether he has just been killed, at this point."""


class SimulatedBroker:
    """Logs by partition, offsets and members by group. `forget` is what a broker in memory does when it is killed.

    The first member who lives has all partitions of his group.
    """

    def __init__(self, faults: Faults) -> None:
        """Begin empty."""
        self.faults = faults
        self.logs: defaultdict[TopicPartition, list[Record]] = defaultdict(list)
        self.offsets: defaultdict[str, dict[TopicPartition, int]] = defaultdict(dict)
        self.members: defaultdict[str, list[SimulatedConsumer]] = defaultdict(list)
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

    def owner_of(self, group: str) -> "SimulatedConsumer | None":
        """Return who has the group's partitions."""
        self.members[group] = [member for member in self.members[group] if member.process.is_alive]
        return next(iter(self.members[group]), None)

    def hand_over(self, process: Process, *, unaware_seconds: float) -> None:
        """Give what a process waits for to it. Who had it before goes on for so long, as if he had been paused."""
        for group, members in self.members.items():
            heir = next((member for member in members if member.process is process), None)
            before = self.owner_of(group)
            if heir is not None and before is not None and heir is not before:
                before.unaware_until = asyncio.get_running_loop().time() + unaware_seconds
                self.members[group].remove(heir)
                self.members[group].insert(0, heir)

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

    def __init__(self, broker: SimulatedBroker, process: Process) -> None:
        """Send for a process, as long as that lives."""
        self._broker = broker
        self._process = process

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
        if self._process.dies_at("publish") or not self._process.is_alive or faults.happens(rates.publish_refused):
            raise KafkaConnectionError("the broker is away")
        for record in builder.records:
            self._broker.append(partition, *record)
        if self._process.dies_at("acknowledgement") or faults.happens(rates.acknowledgement_lost):
            raise KafkaConnectionError("the broker did not say that it has it")


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
        process: Process,
    ) -> None:
        """Read these partitions, all of them."""
        self.process = process
        self.unaware_until = 0.0
        """Until when, on the event loop's clock, it does not notice that somebody else has its partitions."""
        self._broker = broker
        self._partitions = list(partitions)
        self._membership = membership
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
        group = str(self._membership.group)
        if self._broker.owner_of(group) is not self or self._epoch != self._broker.epoch:
            raise UnknownMemberIdError(group)
        self._broker.offsets[group].update(offsets)

    async def join(self, listener: Listener) -> None:
        """Take part, again or at first, from where the group is by what the broker knows, once it is our turn."""
        gone = sorted(self._positions)
        if gone:
            await listener.on_partitions_revoked(gone)
        self._positions = {}
        group = str(self._membership.group)
        if self not in self._broker.members[group]:
            self._broker.members[group].append(self)
        while self._broker.owner_of(group) is not self:  # noqa: ASYNC110 -- a member waits for another one's death
            await asyncio.sleep(_TURN_SECONDS)
        self._epoch = self._broker.epoch
        known = self._broker.offsets[group]
        self._positions = {partition: known.get(partition, 0) for partition in self._partitions}
        await listener.on_partitions_assigned(self._partitions)

    async def next_records(self) -> tuple[Record, ...]:
        """Wait for records, and return some of one partition; () when it must join again."""
        while True:
            grown = self._broker.grown
            if not self._may_read() or self._epoch != self._broker.epoch:
                return ()
            waiting = [one for one in self._partitions if self._positions.get(one, 0) < self.highwater(one)]
            if waiting:
                return self._read(self._broker.faults.rng.choice(waiting))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await grown.wait()

    def _may_read(self) -> bool:
        group = self._membership.group
        if group is None or self._broker.owner_of(group) is self:
            return True
        return asyncio.get_running_loop().time() < self.unaware_until

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
