"""The bus as a reader of single messages sees it, whatever shares a record."""

from typing import Any

from aiokafka import ConsumerRecord

from libs.common.messaging.batched_record import is_batched, stand_alone, unpack


def apart(record: ConsumerRecord[Any, Any]) -> list[ConsumerRecord[Any, Any]]:
    """Return what the record carries, each message as a record of its own."""
    if not is_batched(record):
        return [record]
    return [stand_alone(record, event) for event in unpack(record.value)]
