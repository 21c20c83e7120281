"""The Kafka consumer under FastStream's subscribers: it fetches when its handler is free, and is able to stop."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import UnknownMemberIdError
from aiokafka.protocol.commit import OffsetCommitRequest

from libs.common.messaging.header_names import read_any_header_name

log = structlog.get_logger()

_LONG_POLL_MS: Final = 1000
_IDLE_MS: Final = 25
_IDLE_MS_MAX: Final = 100
_BUSY_MS: Final = 10
_BUSY_BYTES: Final = 16 * 1024
_STARVED_MS_MAX: Final = 2000


class PatientConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka ships no types
    """Waits until there is something, fetches for a free handler only, can be stopped without a broker.

    aiokafka fetches ahead while the handler works: on two full cores that halves the batches and doubles the fetches.
    Without it, whatever came while a batch was under way makes the next one.
    """

    def __init__(self, *topics: str, broker_forgets: bool, **options: Any) -> None:
        """Take aiokafka's own arguments, and whether this is the local broker, which keeps everything in memory."""
        super().__init__(*topics, **options)
        read_any_header_name()
        self._broker_forgets = broker_forgets
        self._wanted = asyncio.Event()
        self._fewest_ms: int = self._fetch_max_wait_ms
        self._starved: set[tuple[TopicPartition, int]] = set()
        self._fetch_again_at = 0.0
        self.rest_seconds = 0.0
        """How long to let records gather after a fetch that brought some; for readers nobody waits for."""

    async def getmany(
        self,
        *partitions: TopicPartition,
        timeout_ms: int = 0,  # noqa: ARG002 -- FastStream's batch timeout; see below
        max_records: int | None = None,
    ) -> dict[TopicPartition, list[ConsumerRecord[Any, Any]]]:
        """Return the next records, however long that takes.

        FastStream sleeps for its batch timeout after every empty poll: a flat delay on every hop of a lone transfer.
        So there are no empty polls; stopping cancels the wait.
        """
        looks = 0
        while True:
            self._wanted.set()
            records: dict[TopicPartition, list[ConsumerRecord[Any, Any]]] = await super().getmany(
                *partitions, timeout_ms=_LONG_POLL_MS, max_records=max_records
            )
            self._wanted.clear()
            looks += 1
            self._fetcher._fetch_max_wait_ms = max(self._fewest_ms, _patience_ms(records, looks))  # noqa: SLF001 -- read per fetch
            if records:
                self._fetch_again_at = asyncio.get_running_loop().time() + self.rest_seconds
                return records

    async def start(self) -> None:
        """Start; fetch for a waiting handler only, and commit offsets as a member of the group or not at all.

        Who has lost his membership asks as nobody, and a broker that forgot the group believes him: an offset of the
        old log then stands for the new one, and what is before it is skipped.
        """
        await super().start()
        fetcher, coordinator = self._fetcher, self._coordinator
        fetch = fetcher._proc_fetch_request  # noqa: SLF001 -- the only place where one fetch begins

        async def fetch_when_wanted(assignment: Any, node_id: int, request: Any) -> bool:
            try:
                await self._wanted.wait()
                await asyncio.sleep(self._fetch_again_at - asyncio.get_running_loop().time())
            except asyncio.CancelledError:
                return False  # as aiokafka's own does: whoever cancels it awaits it
            asked = [
                (partition, offset, assignment.state_value(partition).timestamp)
                for topic, partitions in request.topics
                for partition, offset in ((TopicPartition(topic, number), offset) for number, offset, _ in partitions)
            ]
            brought: bool = await fetch(assignment, node_id, request)
            if self._broker_forgets and assignment.active:
                self._look_behind(assignment, asked)
            return brought

        fetcher._proc_fetch_request = fetch_when_wanted  # noqa: SLF001 -- as above
        if isinstance(coordinator, GroupCoordinator):
            commit = coordinator._do_commit_offsets  # noqa: SLF001 -- only here membership and request are one moment

            async def commit_as_member(*arguments: Any) -> None:
                task = asyncio.current_task()
                if task is not None:
                    # aiokafka shields it: when the caller's patience ends first, nobody would look at how it ended.
                    task.add_done_callback(_look_at)
                if coordinator.generation == OffsetCommitRequest.DEFAULT_GENERATION_ID:
                    raise UnknownMemberIdError(self._group_id)
                await commit(*arguments)

            coordinator._do_commit_offsets = commit_as_member  # noqa: SLF001 -- as above

    def _look_behind(self, assignment: Any, asked: Sequence[tuple[TopicPartition, int, int | None]]) -> None:
        """See why the local broker answered without a record; `asked` is (where, from which offset, last answered at).

        It may have forgotten what we had read. Kafka says so itself; this one lets us wait until the new log is as
        long as the old one was. Or it needs longer: for each fetch it looks through the whole log, 3 ms for 5,000
        batches, and answers with nothing when the wait we allow is over. Once is no sign of that, because it reads the
        end after the records.
        """
        starved: set[tuple[TopicPartition, int]] = set()
        for partition, offset, answered_before in asked:
            place = assignment.state_value(partition)
            if place.timestamp == answered_before or place.position != offset or partition in self._fetcher._records:  # noqa: SLF001 -- what it brought
                continue
            if place.highwater > offset:
                starved.add((partition, offset))
            elif place.highwater < offset:
                log.warning("log_begins_again", topic=partition.topic, position=offset, end=place.highwater)
                self.seek(partition, 0)
        if starved & self._starved:
            self._fewest_ms = min(2 * self._fewest_ms, _STARVED_MS_MAX)
            self._fetcher._fetch_max_wait_ms = self._fewest_ms  # noqa: SLF001 -- as above
        self._starved = starved

    async def stop(self) -> None:
        """Stop, also while the broker is away.

        aiokafka 0.14 then raises CancelledError into a caller whom nobody cancelled, and leaves its client open.
        """
        try:
            await super().stop()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            await self._client.close()


def _patience_ms(records: Mapping[TopicPartition, Sequence[ConsumerRecord[Any, Any]]], empty: int = 0) -> int:
    """Return how long the next fetch may wait, after one that brought these; it matters on the local broker alone.

    That looks for new records at ever shorter intervals, the first half the wait: a short wait finds a lone record
    soon, at the price of hundreds of fetches a second. Under load nobody notices the delay, but everybody the price;
    nor does whoever comes after seconds of silence, `empty` of them.
    """
    if not records:
        return min(empty * _IDLE_MS, _IDLE_MS_MAX)
    size = sum(len(record.value or b"") for found in records.values() for record in found)
    return _BUSY_MS if size > _BUSY_BYTES else 0


def _look_at(task: asyncio.Task[Any]) -> None:
    """Retrieve the exception, so that asyncio does not complain about an offset that is committed again anyway."""
    if not task.cancelled():
        task.exception()
