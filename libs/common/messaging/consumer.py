"""The Kafka consumer under FastStream's subscribers, with two of aiokafka's habits mended."""

import asyncio
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

_LONG_POLL_MS: Final = 1000


class PatientConsumer(AIOKafkaConsumer):
    """Waits until there is something, and can be stopped while the broker is away."""

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
            records = await super().getmany(*partitions, timeout_ms=_LONG_POLL_MS, max_records=max_records)
            if records:
                return records

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
