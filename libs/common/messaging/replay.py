"""Sends a record again exactly as it once stood on the bus: same topic, partition, key, headers and payload."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from libs.common.errors import Unavailable
from libs.common.messaging.header_names import write_names
from libs.common.messaging.topics_admin import MAX_MESSAGE_BYTES

_REQUEST_MS: Final = 5000


@dataclass(frozen=True, slots=True)
class RawRecord:
    """A record's bytes and where they belong."""

    topic: str
    partition: int
    key: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    payload: bytes | None


async def send_again(bootstrap: str, record: RawRecord) -> None:
    """Send it and wait for the broker's acknowledgement. Raises: Unavailable; it may have arrived all the same.

    Every group of the topic hears it, also those that had no trouble: natural keys make the effect once.
    """
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        client_id="tallystick-replay",
        acks="all",
        # One record, sent once: what a retry would double is what natural keys are for.
        enable_idempotence=False,
        max_batch_size=MAX_MESSAGE_BYTES,
        max_request_size=MAX_MESSAGE_BYTES,
        request_timeout_ms=_REQUEST_MS,
    )
    try:
        await producer.start()
        batch = producer.create_batch()
        batch.append(timestamp=None, key=record.key, value=record.payload, headers=write_names(batch, record.headers))
        await (await producer.send_batch(batch, record.topic, partition=record.partition))
    except (KafkaError, OSError, TimeoutError) as failure:
        raise Unavailable("broker_unavailable", f"The broker did not take the message: {failure!r}") from failure
    finally:
        with contextlib.suppress(KafkaError, OSError, TimeoutError):
            await producer.stop()
