"""The context of a trace travels in a header, through the outbox too; what is not traced carries none."""

from collections.abc import Sequence

import msgspec

from libs.common.messaging.outgoing_message import Outgoing, outgoing
from libs.common.messaging.records import Received
from tests.integration.messaging.conftest import Noted, World, headers, noted, until

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Listener:
    """A handler that keeps number → traceparent."""

    def __init__(self) -> None:
        self.heard: dict[int, str] = {}

    async def __call__(self, batch: Sequence[Received]) -> None:
        self.heard |= {one.message.number: one.traceparent for one in batch if isinstance(one.message, Noted)}


def saying(world: World, number: int, traceparent: str) -> Outgoing:
    return outgoing(world.topic, "key", Noted(number=number), traceparent=traceparent)


async def test_who_reads_gets_the_context_of_who_published_and_nobody_else_s(world: World) -> None:
    listener = Listener()
    bus = await world.start(listener)
    await (await bus.publisher.send([saying(world, 1, ""), saying(world, 2, TRACEPARENT), saying(world, 3, "")]))
    await until(lambda: len(listener.heard) == 3)
    assert listener.heard == {1: "", 2: TRACEPARENT, 3: ""}
    plain, traced, _ = await world.on_the_bus(world.topic.name, 3)
    assert [name for name, _ in plain.headers] == ["ce_specversion", "ce_id", "ce_type", "ce_source"]
    assert dict(traced.headers)["traceparent"] == TRACEPARENT.encode()


async def test_a_context_that_means_nothing_does_not_park_its_message(world: World) -> None:
    listener = Listener()
    await world.start(listener)
    for number, strange in enumerate((b"\xff\xfe", None, b"", b"00-1-1-01")):
        await world.send((noted(number), [*headers(), ("traceparent", strange)]))
    await until(lambda: len(listener.heard) == 4)
    assert set(listener.heard.values()) == {""}
    assert await world.parked() == []


async def test_a_row_stored_before_there_were_traces_is_swept_as_it_is(world: World) -> None:
    older = saying(world, 7, "")
    payload = msgspec.msgpack.encode([{name: getattr(older, name) for name in older.__struct_fields__[:6]}])
    await world.rows("INSERT INTO kyc.outbox (row_id, payload) VALUES (gen_random_uuid(), $1)", payload)
    listener = Listener()
    await world.start(listener)
    await until(lambda: listener.heard == {7: ""})
