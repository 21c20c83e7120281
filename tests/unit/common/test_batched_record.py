"""Many messages in one record: how they are put together, and that each comes out as if it had come alone."""

import json
from typing import Any, ClassVar

import msgspec
import pytest
from aiokafka import ConsumerRecord

from libs.common.contracts.base import Message
from libs.common.contracts.topics import Topic
from libs.common.messaging.batched_record import BATCH_HEADER, MESSAGES_MAX, Event, pack, share_records, unpack
from libs.common.messaging.outgoing_message import Outgoing, outgoing
from libs.common.messaging.records import MAX_PAYLOAD_BYTES, Glimpse, Reader, Received, Unreadable, glimpses

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Noted(Message, frozen=True, gc=False, kw_only=True):
    TYPE: ClassVar[str] = "tallystick.test.noted.v1"
    text: str


TOPIC = Topic("test.notes.v1", "test", "number", "it is a test", (Noted,))
READER = Reader(TOPIC)


def saying(text: str, number: int = 0, traceparent: str = "") -> Outgoing:
    return outgoing(TOPIC, f"key {number}", Noted(text=text), f"id {number}", traceparent=traceparent)


def record(payload: bytes | None, *headers: tuple[str, bytes | None], key: bytes | None = None) -> Any:
    return ConsumerRecord(TOPIC.name, 3, 41, 0, 0, key, payload, None, 0, 0, headers)


def batch_of(*items: Outgoing) -> Any:
    return record(pack(items), BATCH_HEADER)


def test_a_record_is_the_batch_that_cloudevents_describes() -> None:
    assert json.loads(pack([saying('"ü\\', 1), saying("b", 2, TRACEPARENT)])) == [
        {
            "specversion": "1.0",
            "id": "id 1",
            "type": Noted.TYPE,
            "source": "test",
            "partitionkey": "key 1",
            "data": {"text": '"ü\\'},
        },
        {
            "specversion": "1.0",
            "id": "id 2",
            "type": Noted.TYPE,
            "source": "test",
            "partitionkey": "key 2",
            "traceparent": TRACEPARENT,
            "data": {"text": "b"},
        },
    ]


def test_messages_are_read_in_their_order_each_with_its_own_trace() -> None:
    found = READER.read(batch_of(saying("a", 1), saying("b", 2, TRACEPARENT), saying("c", 3, "nonsense")))
    read = [one for one in found if isinstance(one, Received)]
    assert [one.message for one in read] == [Noted(text="a"), Noted(text="b"), Noted(text="c")]
    assert [one.traceparent for one in read] == ["", TRACEPARENT, ""]


def test_one_that_cannot_be_read_stands_alone_with_its_cause_and_leaves_the_others() -> None:
    strange = msgspec.structs.replace(saying("b", 2), payload=b'{"text":5}')
    unheard = msgspec.structs.replace(saying("c", 3, TRACEPARENT), message_type="tallystick.test.unheard-of.v1")
    first, second, third, fourth = READER.read(batch_of(saying("a", 1), strange, unheard, saying("d", 4)))
    assert isinstance(first, Received)
    assert isinstance(second, Unreadable)
    assert isinstance(third, Unreadable)
    assert isinstance(fourth, Received)
    assert (second.cause.code, third.cause.code) == ("payload_unreadable", "message_type_unknown")
    assert (second.record.value, second.record.key) == (b'{"text":5}', b"key 2")
    assert (second.record.partition, second.record.offset) == (3, 41)
    assert dict(third.record.headers) == {
        "ce_specversion": b"1.0",
        "ce_id": b"id 3",
        "ce_type": b"tallystick.test.unheard-of.v1",
        "ce_source": b"test",
        "traceparent": TRACEPARENT.encode(),
    }
    assert (fourth.as_record().value, fourth.as_record().key) == (b'{"text":"d"}', b"key 4")


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (None, "payload_missing"),
        (b" " * (MAX_PAYLOAD_BYTES + 1), "message_oversized"),
        (b"", "payload_unreadable"),
        (b'{"id":"1"}', "payload_unreadable"),
        (b'[{"id":"1","source":"test","data":{}}]', "payload_unreadable"),
        (b'[{"id":"1","type":"t","source":"test"}]', "payload_unreadable"),
        (b'[{"id":"","type":"t","source":"test","data":{}}]', "payload_unreadable"),
        (b'[{"id":null,"type":"t","source":"test","data":{}}]', "payload_unreadable"),
        (b'[{"id":"\xff","type":"t","source":"test","data":{}}]', "payload_unreadable"),
        (b"[" * 100_000, "payload_unreadable"),
    ],
)
def test_a_record_in_which_no_batch_is_found_is_set_aside_whole(payload: bytes | None, code: str) -> None:
    came = record(payload, BATCH_HEADER)
    (found,) = READER.read(came)
    assert isinstance(found, Unreadable)
    assert (found.cause.code, found.record) == (code, came)
    assert glimpses(came) == []


def test_a_message_that_came_alone_is_its_own_record() -> None:
    headers = (("ce_id", b"1"), ("ce_type", Noted.TYPE.encode()))
    came = record(b'{"text":"a"}', *headers, key=b"key")
    (found,) = READER.read(came)
    assert isinstance(found, Received)
    assert found.as_record() is came


def test_a_tip_reader_sees_keys_and_payloads_whichever_way_they_came() -> None:
    together = glimpses(batch_of(saying("a", 1), saying("b", 2)))
    assert [(key, bytes(payload)) for key, payload in together] == [
        ("key 1", b'{"text":"a"}'),
        ("key 2", b'{"text":"b"}'),
    ]
    assert glimpses(record(b"{}", key=b"\xff")) == [Glimpse("\ufffd", b"{}")]
    assert glimpses(record(None)) == [Glimpse("", b"")]


def test_records_are_shared_up_to_a_number_and_a_size_in_order() -> None:
    items = [saying("a", number) for number in range(2 * MESSAGES_MAX + 1)]
    assert [list(shared) for shared in share_records(items)] == [
        items[:MESSAGES_MAX],
        items[MESSAGES_MAX : 2 * MESSAGES_MAX],
        items[2 * MESSAGES_MAX :],
    ]
    large = saying("x" * 300_000)
    cut = list(share_records([saying("a"), large, large, saying("b"), saying("x" * 900_000), saying("c")]))
    assert [[len(item.payload) > 1000 for item in shared] for shared in cut] == [
        [False, True],
        [True, False],
        [True],
        [False],
    ]
    assert list(share_records([])) == []


def test_a_record_full_of_unreadable_messages_is_taken_apart_once(monkeypatch: pytest.MonkeyPatch) -> None:
    spoilt = [msgspec.structs.replace(saying("a", number), payload=b"{}") for number in range(300)]
    came = batch_of(*spoilt)
    asked: list[bytes] = []

    def counted(payload: bytes) -> list[Event]:
        asked.append(payload)
        return unpack(payload)

    monkeypatch.setattr("libs.common.messaging.records.unpack", counted)
    monkeypatch.setattr("libs.common.messaging.batched_record.unpack", counted)
    found = READER.read(came)
    assert {dict(one.record.headers)["ce_id"] for one in found if isinstance(one, Unreadable)} == {
        b"id %d" % number for number in range(300)
    }
    assert len(asked) == 1
