"""Whatever lies on the bus: each message is read, and reads the same when it is sent again, or can be parked."""

import json
from pathlib import Path
from typing import Any, Final

import msgspec
from aiokafka import ConsumerRecord
from hypothesis import strategies as st

from libs.common.contracts.topics import ALL_TOPICS, Topic
from libs.common.messaging.batched_record import BATCH_HEADER, pack
from libs.common.messaging.outgoing_message import Outgoing
from libs.common.messaging.records import Reader, Received, Unreadable, glimpses, identify
from libs.common.messaging.stored_headers import named, original_headers, stored_headers
from libs.common.telemetry.traces import read_traceparent
from tests.fuzz.fuzzing import damaged, fuzz

GOLDEN: Final = {
    path.stem: path.read_bytes().rstrip(b"\n")
    for path in (Path(__file__).parents[1] / "contract" / "golden").glob("*.json")
}
READERS: Final = {topic.name: Reader(topic) for topic in ALL_TOPICS}
TRACEPARENT: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CAUSES: Final = {
    "header_missing",
    "payload_missing",
    "message_oversized",
    "message_type_unknown",
    "header_unreadable",
    "key_unreadable",
    "payload_unreadable",
}
KEYS: Final = st.none() | damaged([b"01890a5d-ac96-774b-bcce-b302099a0001"])
NAMES: Final = st.sampled_from(("ce_id", "ce_type", "ce_source", "traceparent", "content-type", "", "\udcff", "é\x00"))
VALUES: Final = st.none() | damaged([b"1", TRACEPARENT.encode(), *(kind.encode() for kind in GOLDEN), BATCH_HEADER[1]])


@st.composite
def lone_records(draw: st.DrawFn) -> tuple[Topic, ConsumerRecord[Any, Any]]:
    """Draw a topic, and on it a record with one message of it."""
    topic = draw(st.sampled_from(ALL_TOPICS))
    kind = draw(st.sampled_from(topic.messages)).TYPE
    payload = draw(st.none() | damaged([GOLDEN[kind]]))
    headers = [("ce_id", b"1"), ("ce_type", kind.encode()), *draw(st.lists(st.tuples(NAMES, VALUES), max_size=3))]
    return topic, record(topic, payload, headers[draw(st.integers(0, 1)) :], draw(KEYS))


@st.composite
def batches(draw: st.DrawFn) -> tuple[Topic, ConsumerRecord[Any, Any]]:
    """Draw a topic, and on it a record with up to three messages of it."""
    topic = draw(st.sampled_from(ALL_TOPICS))
    items = [
        Outgoing(topic.name, f"key {number}", f"id {number}", kind.TYPE, topic.owner, GOLDEN[kind.TYPE], TRACEPARENT)
        for number, kind in enumerate(draw(st.lists(st.sampled_from(topic.messages), min_size=1, max_size=3)))
    ]
    return topic, record(topic, draw(damaged([pack(items)])), [BATCH_HEADER], None)


def record(topic: Topic, payload: bytes | None, headers: Any, key: bytes | None) -> ConsumerRecord[Any, Any]:
    return ConsumerRecord(topic.name, 0, 7, 0, 0, key, payload, None, 0, 0, tuple(headers))


@fuzz(drawn=lone_records() | batches())
def test_what_is_read_reads_the_same_when_it_is_sent_again_and_everything_else_can_be_parked(
    drawn: tuple[Topic, ConsumerRecord[Any, Any]],
) -> None:
    topic, came = drawn
    glimpses(came)
    for found in READERS[topic.name].read(came):
        if isinstance(found, Unreadable):
            assert found.cause.code in CAUSES
            alone = found.record
        else:
            alone = found.as_record()
            assert msgspec.json.decode(msgspec.json.encode(found.message), type=type(found.message)) == found.message
            assert (found.message_id, found.place[1]) == (identify(alone)[0], alone.key or b"")
        require_storable(alone)
        (again,) = READERS[topic.name].read(parked_and_replayed(alone))
        if isinstance(found, Received):
            assert isinstance(again, Received)
            assert (again.message, again.message_id, again.place) == (found.message, found.message_id, found.place)
            assert again.traceparent == found.traceparent
        elif found.cause.code != "header_missing":
            assert isinstance(again, Unreadable)


def require_storable(alone: ConsumerRecord[Any, Any]) -> None:
    """Let pass what PostgreSQL takes: no NUL, no lone surrogate."""
    stored = [text for pair in stored_headers(alone.headers) for text in pair if isinstance(text, str)]
    for text in (*identify(alone), *stored):
        assert "\x00" not in text
        text.encode()


def parked_and_replayed(alone: ConsumerRecord[Any, Any]) -> ConsumerRecord[Any, Any]:
    stored = json.loads(json.dumps(stored_headers(alone.headers)))
    headers = original_headers(stored)
    assert tuple(headers) == tuple(alone.headers)
    topic = next(topic for topic in ALL_TOPICS if topic.name == alone.topic)
    return record(topic, alone.value, named(headers, identify(alone)[0]), alone.key)


@fuzz(value=damaged([TRACEPARENT.encode(), TRACEPARENT.upper().encode(), b"01" + TRACEPARENT[2:].encode() + b"-x"]))
def test_a_traceparent_is_read_into_one_that_reads_the_same_or_into_none(value: bytes) -> None:
    read = read_traceparent(value)
    assert read == "" or read_traceparent(read.encode()) == read
