"""A transfer whose caller samples it is one trace through all three services; any other leaves none."""

import asyncio
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer

from libs.common.contracts.topics import SCREENINGS, TRANSFER_REQUESTS, TRANSFERS
from tests.e2e.api_client import Api, Person, new_key, problem, transfer, wait_until
from tests.support.bus_records import apart
from tests.support.otlp_receiver import OtlpReceiver, Seen

CALLER = "00f067aa0ba902b7"
WAY = ["gateway.accept", "fraud.screen", "ledger.post"]


@pytest.fixture
def trace_id() -> str:
    return uuid4().hex


def sampled(trace_id: str, flags: str = "01") -> str:
    return f"00-{trace_id}-{CALLER}-{flags}"


def arrived(otlp: OtlpReceiver, trace_id: str, *names: str) -> list[Seen]:
    """Wait for the spans of these names and return them; the trace must have no others."""
    wait_until("the spans", lambda: otlp.of(trace_id).keys() >= set(names))
    assert otlp.of(trace_id).keys() == set(names)
    return [otlp.of(trace_id)[name] for name in names]


def records_of(api: Api, transfer_id: str) -> dict[str, dict[str, bytes]]:
    """Return topic → headers, of the three messages that carry a posted transfer."""

    async def read() -> dict[str, dict[str, bytes]]:
        consumer = AIOKafkaConsumer(
            *(topic.name for topic in (TRANSFER_REQUESTS, SCREENINGS, TRANSFERS)),
            bootstrap_servers=api.kafka,
            auto_offset_reset="earliest",
        )
        found: dict[str, dict[str, bytes]] = {}
        await consumer.start()
        try:
            async with asyncio.timeout(30):
                while len(found) < 3:
                    for records in (await consumer.getmany(timeout_ms=200)).values():
                        alone = [one for record in records for one in apart(record)]
                        found |= {one.topic: dict(one.headers) for one in alone if transfer_id.encode() in one.value}
        finally:
            await consumer.stop()
        return found

    return asyncio.run(read())


def test_a_sampled_transfer_is_one_tree_from_the_caller_to_the_ledger(
    api: Api, otlp: OtlpReceiver, alice: Person, bob: Person, trace_id: str
) -> None:
    answer = api.pay(alice, bob, 4711, traceparent=sampled(trace_id))
    assert answer.status_code == 201, answer.text
    transfer_id = answer.json()["transfer_id"]

    way = arrived(otlp, trace_id, *WAY)
    assert [span.parent_id for span in way] == [CALLER, way[0].span_id, way[1].span_id]
    assert [span.service for span in way] == ["gateway", "fraud", "ledger"]
    assert all(span.began_ns < span.ended_ns and not span.failed for span in way)
    # Nothing else: no names, no amounts, no tokens.
    about = {"tallystick.transfer_id": transfer_id, "tallystick.batch_size": 1}
    assert [span.attributes for span in way] == [about] * 3
    sent = [
        records_of(api, transfer_id)[topic.name]["traceparent"] for topic in (TRANSFER_REQUESTS, SCREENINGS, TRANSFERS)
    ]
    assert sent == [f"00-{trace_id}-{span.span_id}-01".encode() for span in way]


@pytest.mark.parametrize("header", ["unsampled", "none", "twice"])
def test_any_other_transfer_has_no_header_on_the_bus_and_no_span(
    api: Api, otlp: OtlpReceiver, alice: Person, bob: Person, trace_id: str, header: str
) -> None:
    told = {
        "unsampled": [("traceparent", sampled(trace_id, "00"))],
        "none": [],
        "twice": [("traceparent", sampled(trace_id)), ("traceparent", sampled(uuid4().hex))],
    }
    answer = api.http.post(
        "/api/v1/transfers",
        json=transfer(alice, bob),
        headers=[("Authorization", f"Bearer {alice.token}"), ("Idempotency-Key", new_key()), *told[header]],
    )
    assert answer.status_code == 201, answer.text
    found = records_of(api, answer.json()["transfer_id"])
    assert [sorted(headers) for headers in found.values()] == [["ce_id", "ce_source", "ce_specversion", "ce_type"]] * 3
    # A traced one behind it: had there been spans of the first, they would have come before.
    later = uuid4().hex
    assert api.pay(alice, bob, traceparent=sampled(later)).status_code == 201
    arrived(otlp, later, *WAY)
    assert otlp.of(trace_id) == {}


def test_a_refused_request_is_a_failed_span_that_does_not_say_why(
    api: Api, otlp: OtlpReceiver, alice: Person, bob: Person, trace_id: str
) -> None:
    problem(api.pay(alice, bob, -1, traceparent=sampled(trace_id)), 422, "invalid_request")
    [span] = arrived(otlp, trace_id, "gateway.accept")
    assert (span.parent_id, span.failed, span.attributes) == (CALLER, True, {})


def test_a_repeated_request_is_traced_to_its_answer_and_no_further(
    api: Api, otlp: OtlpReceiver, alice: Person, bob: Person, trace_id: str
) -> None:
    key = new_key()
    first = api.pay(alice, bob, key=key)
    again = api.pay(alice, bob, key=key, traceparent=sampled(trace_id))
    assert again.content == first.content
    [span] = arrived(otlp, trace_id, "gateway.accept")
    assert not span.failed
