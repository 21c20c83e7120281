"""Messages that travel in one record are delivered, parked and sent again as if each had come alone."""

from typing import Any

import msgspec

from libs.common.errors import Rejected
from libs.common.messaging.batched_record import BATCH_HEADER
from libs.common.messaging.outgoing_message import Outgoing, outgoing
from libs.common.messaging.replay import RawRecord, send_again
from libs.common.messaging.stored_headers import original_headers
from tests.integration.messaging.conftest import Notebook, Noted, World, until


def saying(world: World, number: int) -> Outgoing:
    return outgoing(world.topic, f"key {number}", Noted(number=number), f"id {number}")


def as_it_was_parked(letter: dict[str, Any]) -> RawRecord:
    return RawRecord(
        letter["topic"],
        letter["partition_number"],
        letter["message_key"],
        original_headers(msgspec.json.decode(letter["headers"])),
        letter["payload"],
    )


async def test_the_handler_gets_them_in_order_and_never_more_at_once_than_it_takes(world: World) -> None:
    notebook = Notebook()
    bus = await world.start(notebook, max_messages=4)
    await (await bus.publisher.send([saying(world, number) for number in range(10)]))
    await until(lambda: len(notebook.noted) == 10)
    assert notebook.batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


async def test_one_unreadable_and_one_refused_are_parked_by_themselves_and_can_be_sent_again(world: World) -> None:
    refused = {3}

    def refuse(found: list[int]) -> None:
        if refused & set(found):
            raise Rejected("three_refused", "This handler cannot do three.")

    notebook = Notebook(refuse)
    bus = await world.start(notebook)
    spoilt = msgspec.structs.replace(saying(world, 1), payload=b'{"number":"one"}')
    await (await bus.publisher.send([saying(world, 0), spoilt, *(saying(world, number) for number in range(2, 6))]))

    await until(lambda: notebook.noted[-1:] == [5])
    assert notebook.noted == [0, 2, 4, 5]
    letters = await world.parked()
    assert {letter["message_id"]: letter["cause_code"] for letter in letters} == {
        "id 1": "payload_unreadable",
        "id 3": "three_refused",
    }
    assert {letter["message_key"] for letter in letters} == {b"key 1", b"key 3"}
    assert bus.what_is_wrong() is None

    refused.clear()
    (letter,) = [letter for letter in letters if letter["message_id"] == "id 3"]
    await send_again(world.broker.address, as_it_was_parked(letter))
    await until(lambda: notebook.noted[-1:] == [3])


async def test_a_record_in_which_no_batch_is_found_is_parked_whole_and_the_stream_goes_on(world: World) -> None:
    notebook = Notebook()
    await world.start(notebook)
    await world.send((b'[{"id":"1"}]', [BATCH_HEADER]), key=None)
    await world.send_numbers(7)
    await until(lambda: notebook.noted == [7])
    (letter,) = await world.parked()
    assert (letter["cause_code"], letter["payload"]) == ("payload_unreadable", b'[{"id":"1"}]')
    assert letter["message_id"].startswith(f"{world.topic.name}/0/0/")
