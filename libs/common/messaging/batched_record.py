"""Many messages in one Kafka record: a CloudEvents JSON batch, where each message keeps its own id, type and key.

What a transaction says it says to few partitions, and reading a record costs five times what reading a message inside
one does. A message without company is a record of its own, in binary mode.

Source: CloudEvents JSON Event Format 1.0.2, section 4 (batch), with its extensions for partitioning and tracing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Any, Final

import msgspec
from aiokafka import ConsumerRecord

from libs.common.messaging.outgoing_message import Outgoing

BATCH_HEADER: Final = ("content-type", b"application/cloudevents-batch+json")
MESSAGES_MAX: Final = 500
"""Most messages of one record."""
_BYTES_MAX: Final = 512 * 1024
"""Most bytes of payload that share a record; a larger message travels alone."""

UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding raises, beside what msgspec says itself: text that is no UTF-8, arrays nested deeper than the stack."""


class Event(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One message of a batch; its payload is still encoded."""

    id: Annotated[str, msgspec.Meta(min_length=1)]
    type: str
    source: str
    data: msgspec.Raw
    partitionkey: str = ""
    traceparent: str = ""
    specversion: str = ""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Event]).decode


def share_records(items: Sequence[Outgoing]) -> Iterator[Sequence[Outgoing]]:
    """Cut messages, in their order, into what travels in one record each."""
    begin = size = 0
    for place, item in enumerate(items):
        if place > begin and (place - begin >= MESSAGES_MAX or size + len(item.payload) > _BYTES_MAX):
            yield items[begin:place]
            begin, size = place, 0
        size += len(item.payload)
    if items:
        yield items[begin:]


def pack(items: Sequence[Outgoing]) -> bytes:
    """Return the payload of the record that carries these messages."""
    return _encode(
        [
            Event(
                id=item.message_id,
                type=item.message_type,
                source=item.source,
                data=msgspec.Raw(item.payload),
                partitionkey=item.key,
                traceparent=item.traceparent,
                specversion="1.0",
            )
            for item in items
        ]
    )


def is_batched(record: ConsumerRecord[Any, Any]) -> bool:
    """Tell whether the record carries a batch."""
    return BATCH_HEADER in record.headers


def unpack(payload: bytes) -> list[Event]:
    """Return the messages of a batch, in their order. Raises: one of `UNREADABLE`."""
    return _decode(payload)


def stand_alone(record: ConsumerRecord[Any, Any], event: Event) -> ConsumerRecord[Any, Any]:
    """Return one message of a record as the record it would have been without company: parked, it is sent again so."""
    headers = {
        "ce_specversion": event.specversion,
        "ce_id": event.id,
        "ce_type": event.type,
        "ce_source": event.source,
        "traceparent": event.traceparent,
    }
    return replace(
        record,
        key=event.partitionkey.encode(),
        value=bytes(event.data),
        headers=tuple((name, text.encode()) for name, text in headers.items() if text),
    )
