"""The Kafka consumer under FastStream's subscribers: patient, paced under load, and able to stop."""

import asyncio
from collections.abc import Collection
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import UnknownMemberIdError
from aiokafka.protocol.commit import OffsetCommitRequest

log = structlog.get_logger()

_LONG_POLL_MS: Final = 1000
_PACE_MS_MAX: Final = 10
_RECORDS_PER_MS: Final = 12
_PACED_BYTES: Final = 1024 * 1024
_IDLE_MS: Final = 25
_SLEEPING_BROKER_MS_MAX: Final = 250
"""Waits up to here are chosen for the local broker, longer ones for Kafka."""


class PatientConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka ships no types
    """Waits until there is something, takes larger batches when there is much, can be stopped without a broker."""

    _configured: tuple[int, int] | None = None
    """(longest wait in ms, fewest bytes) of a fetch as configured."""

    def __init__(self, *topics: str, **options: Any) -> None:
        """Take aiokafka's own arguments."""
        super().__init__(*topics, **options)
        self._read_at_ms: dict[TopicPartition, int | None] = {}

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
        while True:
            records: dict[TopicPartition, list[ConsumerRecord[Any, Any]]] = await super().getmany(
                *partitions, timeout_ms=_LONG_POLL_MS, max_records=max_records
            )
            self._pace(sum(len(batch) for batch in records.values()))
            self._return_to_the_log(records.keys())
            if records:
                return records

    def _return_to_the_log(self, just_read: Collection[TopicPartition]) -> None:
        """Go to the beginning of each partition that ends before our position: the broker forgot what we had read.

        Kafka says so itself. The local broker does not: it lets us wait until the new log is as long as the old one.
        Kafka reads the end before it reads the records, so an answer may bring records beyond the end it names: only
        an answer younger than the one that brought our last records tells where the log ends now.
        """
        for partition in self.assignment():
            place = self._subscription.subscription.assignment.state_value(partition)
            if partition in just_read:
                self._read_at_ms[partition] = place.timestamp
                continue
            end: int | None = place.highwater
            if end is None or place.timestamp == self._read_at_ms.get(partition) or not place.has_valid_position:
                continue
            if place.position > end:
                log.warning("log_begins_again", topic=partition.topic, position=place.position, end=end)
                self.seek(partition, 0)

    async def start(self) -> None:
        """Start, and commit offsets as a member of the group or not at all.

        Who has lost his membership asks as nobody, and a broker that forgot the group believes him: an offset of the
        old log then stands for the new one, and what is before it is skipped.
        """
        await super().start()
        coordinator = self._coordinator
        if isinstance(coordinator, GroupCoordinator):
            commit = coordinator._do_commit_offsets  # noqa: SLF001 -- only here membership and request are one moment

            async def commit_as_member(*arguments: Any) -> None:
                if coordinator.generation == OffsetCommitRequest.DEFAULT_GENERATION_ID:
                    raise UnknownMemberIdError(self._group_id)
                await commit(*arguments)

            coordinator._do_commit_offsets = commit_as_member  # noqa: SLF001 -- as above

    def _pace(self, records: int) -> None:
        """Let the next fetch wait as suits what this one brought: `records`, or none for a second.

        A unit of work costs some milliseconds whatever its size, so a busy stage does better with fewer, larger ones;
        a lone transfer must not wait. Kafka answers a fetch at once unless it asks for many bytes. The local broker
        sleeps the wait out either way and spends half a millisecond of CPU on each fetch: there an idle reader slows
        down as well.
        """
        fetcher = self._fetcher
        if self._configured is None:
            self._configured = (fetcher._fetch_max_wait_ms, fetcher._fetch_min_bytes)  # noqa: SLF001 -- read per fetch
        wait_ms, fewest_bytes = self._configured
        pace_ms = min(_PACE_MS_MAX, records // _RECORDS_PER_MS)
        if records == 0:
            wait_ms = max(wait_ms, _IDLE_MS)
        elif pace_ms > wait_ms or (pace_ms and wait_ms > _SLEEPING_BROKER_MS_MAX):
            wait_ms, fewest_bytes = pace_ms, _PACED_BYTES
        fetcher._fetch_max_wait_ms = wait_ms  # noqa: SLF001 -- as above
        fetcher._fetch_min_bytes = fewest_bytes  # noqa: SLF001 -- as above

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
