"""What counts as a trace (W3C Trace Context), and that everything else costs and says nothing."""

from typing import ClassVar

import msgspec
import pytest
from aiokafka import ConsumerRecord
from opentelemetry.trace import SpanKind

from libs.common.contracts.base import Message
from libs.common.contracts.topics import Topic
from libs.common.http.edge import hot_request
from libs.common.messaging.outgoing_message import Outgoing, outgoing
from libs.common.messaging.records import Reader, Received
from libs.common.telemetry.traces import batch_spans, begin_span, read_traceparent, traceparent_of

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{SPAN}-01"


class Noted(Message, frozen=True, gc=False, kw_only=True):
    TYPE: ClassVar[str] = "tallystick.test.noted.v1"
    number: int


TOPIC = Topic("test.notes.v1", "test", "number", "it is a test", (Noted,))


@pytest.mark.parametrize(
    ("came", "read"),
    [
        (GOOD, GOOD),
        (f"00-{TRACE}-{SPAN}-03", f"00-{TRACE}-{SPAN}-03"),
        (f"00-{TRACE}-{SPAN}-ff", f"00-{TRACE}-{SPAN}-03"),
        (f"cc-{TRACE}-{SPAN}-01", GOOD),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", GOOD),
    ],
    ids=["sampled", "random id", "unknown flags", "later version", "later version that says more"],
)
def test_a_sampled_header_is_read_as_version_00_with_the_flags_we_know(came: str, read: str) -> None:
    assert read_traceparent(came.encode()) == read


@pytest.mark.parametrize(
    "came",
    {
        "unsampled": f"00-{TRACE}-{SPAN}-00",
        "random but unsampled": f"00-{TRACE}-{SPAN}-02",
        "empty": "",
        "forbidden version": f"ff-{TRACE}-{SPAN}-01",
        "trace id of zeros": f"00-{'0' * 32}-{SPAN}-01",
        "span id of zeros": f"00-{TRACE}-{'0' * 16}-01",
        "too long": f"{GOOD}-more",
        "too long without a hyphen": f"{GOOD}0",
        "later version without a hyphen": f"cc-{TRACE}-{SPAN}-01.more",
        "too short": GOOD[:-1],
        "upper case": GOOD.upper(),
        "no hex": f"00-{TRACE[:-1]}g-{SPAN}-01",
        "digits of another script": f"00-{TRACE[:-1]}٣-{SPAN}-01",
        "no ASCII": GOOD.replace("-", "\N{EN DASH}"),
        "newline at the end": f"{GOOD}\n",
        "two in one": f"{GOOD},{GOOD}",
    }.items(),
    ids=lambda case: case[0],
)
def test_what_is_unsampled_or_malformed_is_no_trace(came: tuple[str, str]) -> None:
    assert read_traceparent(came[1].encode()) == ""
    assert read_traceparent(came[1].encode("utf-16")) == ""


@pytest.mark.parametrize(
    ("headers", "traceparent"),
    [
        ([], ""),
        ([GOOD], GOOD),
        ([f"00-{TRACE}-{SPAN}-00"], ""),
        ([GOOD, GOOD], ""),
        ([GOOD, "x", GOOD], ""),
    ],
)
def test_a_hot_request_has_the_header_that_came_alone(headers: list[str], traceparent: str) -> None:
    request, _ = hot_request([(b"traceparent", header.encode()) for header in headers], None)
    assert request.traceparent == traceparent


@pytest.mark.parametrize(
    ("header", "traceparent"), [(GOOD.encode(), GOOD), (b"\xff\xfe", ""), (None, ""), (b"00-x", "")]
)
def test_a_message_is_read_whatever_its_traceparent(header: bytes | None, traceparent: str) -> None:
    headers = (("ce_id", b"1"), ("ce_type", Noted.TYPE.encode()), ("traceparent", header))
    record = ConsumerRecord("test.notes.v1", 0, 0, 0, 0, b"", b'{"number":1}', 0, 0, 12, headers)
    (read,) = Reader(TOPIC).read(record)
    assert isinstance(read, Received)
    assert read.traceparent == traceparent


def test_a_stored_row_says_nothing_of_a_trace_there_is_none_of_and_older_rows_stay_readable() -> None:
    plain, traced = (outgoing(TOPIC, "key", Noted(number=1), "id", traceparent=text) for text in ("", GOOD))
    older = {"topic", "key", "message_id", "message_type", "source", "payload"}
    assert set(msgspec.msgpack.decode(msgspec.msgpack.encode(plain))) == older
    read = msgspec.msgpack.Decoder(list[Outgoing]).decode
    assert read(msgspec.msgpack.encode([plain, traced])) == [plain, traced]


def test_without_an_exporter_the_context_goes_on_as_it_came() -> None:
    assert traceparent_of(begin_span("gateway.accept", GOOD, SpanKind.SERVER)) == GOOD
    with batch_spans("fraud.screen", {"t": GOOD}, 2) as onward:
        assert onward == {"t": GOOD}


def test_a_batch_without_traced_transfers_has_no_spans() -> None:
    with batch_spans("fraud.screen", {}, 500) as onward:
        assert onward == {}
