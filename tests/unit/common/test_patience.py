"""How long a fetch may wait after the one before it."""

from typing import Any

import pytest
from aiokafka import ConsumerRecord, TopicPartition

from libs.common.messaging.consumer import _BUSY_BYTES, _BUSY_MS, _IDLE_MS, _IDLE_MS_MAX, _patience_ms

PLACE = TopicPartition("test.notes.v1", 0)


def record(size: int | None) -> Any:
    value = None if size is None else b" " * size
    return ConsumerRecord(PLACE.topic, 0, 0, 0, 0, None, value, None, 0, 0, ())


@pytest.mark.parametrize(
    ("found", "patience_ms"),
    [
        ({PLACE: [record(None)]}, 0),
        ({PLACE: [record(600)]}, 0),
        ({PLACE: [record(_BUSY_BYTES // 2)] * 2}, 0),
        ({PLACE: [record(_BUSY_BYTES // 2)] * 3}, _BUSY_MS),
    ],
)
def test_a_busy_reader_has_more_patience_than_one_of_few_messages(
    found: dict[TopicPartition, list[Any]], patience_ms: int
) -> None:
    assert _patience_ms(found) == patience_ms


def test_the_longer_nothing_came_the_more_patience_up_to_a_bound() -> None:
    assert [_patience_ms({}, empty) for empty in (1, 2, 100)] == [_IDLE_MS, 2 * _IDLE_MS, _IDLE_MS_MAX]
