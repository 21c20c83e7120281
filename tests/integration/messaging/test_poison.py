"""What can never be processed is parked with its cause; the others are processed once, in order; the stream goes on."""

import msgspec

from libs.common.contracts.dead_letters import MessageParked
from libs.common.contracts.topics import dead_letters_of
from libs.common.db.hot import HotConnection
from libs.common.errors import Rejected
from libs.common.ids import new_id
from libs.common.messaging.records import MAX_PAYLOAD_BYTES
from tests.integration.messaging.conftest import SERVICE, Notebook, Noted, World, headers, noted, until

KIND = ("ce_type", Noted.TYPE.encode())
UNREADABLE = {
    "bad json": (b'{"number": 1', headers(), "payload_unreadable"),
    "wrong type of a value": (b'{"number": "one"}', headers(), "payload_unreadable"),
    "missing field": (b"{}", headers(), "payload_unreadable"),
    "text that is no UTF-8": (b'{"number": 1, "\xff": "\xfe"', headers(), "payload_unreadable"),
    "nested beyond the stack": (
        b'{"number": 1, "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        headers(),
        "payload_unreadable",
    ),
    "unknown message type": (noted(1), headers(kind="tallystick.test.unheard-of.v1"), "message_type_unknown"),
    "no headers at all": (noted(1), [], "header_missing"),
    "missing id": (noted(1), [KIND], "header_missing"),
    "null id": (noted(1), [("ce_id", None), KIND], "header_missing"),
    "id that is no UTF-8": (noted(1), [("ce_id", b"\xff\xfe"), KIND], "header_unreadable"),
    "type that is no UTF-8": (noted(1), [*headers()[:1], ("ce_type", b"\xff")], "message_type_unknown"),
    "NUL in the id": (b"{", [("ce_id", b"a\x00b"), KIND], "payload_unreadable"),
    "null payload": (None, headers(), "payload_missing"),
    "oversized": (b" " * (MAX_PAYLOAD_BYTES + 1), headers(), "message_oversized"),
}


async def test_whatever_cannot_be_read_is_parked_with_its_cause_and_the_others_go_through_in_order(
    world: World,
) -> None:
    notebook = Notebook()
    await world.start(notebook)
    for number, (payload, pairs, _) in enumerate(UNREADABLE.values()):
        await world.send((noted(number), headers()), (payload, pairs))
    await world.send((noted(1), headers()), key=b"\xff\xfe")
    await world.send_numbers(98, 99)

    await until(lambda: notebook.noted[-1:] == [99])
    assert notebook.noted == [*range(len(UNREADABLE)), 98, 99]
    letters = await world.parked()
    assert [letter["cause_code"] for letter in letters] == [
        *(cause for _, _, cause in UNREADABLE.values()),
        "key_unreadable",
    ]
    payloads = [payload for payload, _, _ in UNREADABLE.values()]
    assert [letter["payload"] for letter in letters] == [*payloads, noted(1)]
    assert {letter["status"] for letter in letters} == {"parked"}
    assert {letter["attempts"] for letter in letters} == {1}


async def test_headers_nobody_needs_may_be_null_or_no_text_at_all(world: World) -> None:
    notebook = Notebook()
    await world.start(notebook)
    strange = [*headers(), ("traceparent", None), ("tenant", b"\xff\xfe"), ("tenant", b"\x00")]
    await world.send((noted(1), strange), (noted(2), headers()))
    await until(lambda: notebook.noted == [1, 2])
    assert await world.parked() == []


async def test_one_guilty_message_in_the_middle_of_a_batch_is_found_and_the_others_are_done_once_in_order(
    world: World,
) -> None:
    def refuse_seven(found: list[int]) -> None:
        if 7 in found:
            raise Rejected("seven_refused", "This handler cannot do seven.")

    notebook = Notebook(refuse_seven)
    bus = await world.start()
    await world.send_numbers(*range(20))
    await world.start(notebook)

    await until(lambda: notebook.noted[-1:] == [19])
    assert notebook.batches[0] == list(range(20))
    assert notebook.noted == [number for number in range(20) if number != 7]
    (letter,) = await world.parked()
    assert (letter["cause_code"], letter["message_offset"]) == ("seven_refused", 7)
    assert letter["consumer_group"] == world.group
    assert "refuse_seven" in letter["stack"]
    assert bus.what_is_wrong() is None


async def test_a_value_the_database_cannot_take_is_no_outage(world: World) -> None:
    connection = HotConnection(world.settings().postgres_dsn.get_secret_value(), "test")

    async def ask_for_an_id(found: list[int]) -> None:
        async with connection.autocommit() as database:
            await database.fetchval("SELECT $1::uuid", "no uuid" if 2 in found else new_id())

    notebook = Notebook(ask_for_an_id)
    await world.start(notebook)
    await world.send_numbers(1, 2, 3)
    await until(lambda: notebook.noted == [1, 3])
    assert [letter["cause_code"] for letter in await world.parked()] == ["DataError"]
    await connection.close()


async def test_the_same_message_parked_again_is_one_letter_that_counts_its_attempts(world: World) -> None:
    notebook = Notebook()
    await world.start(notebook)
    poison = (b"no json", headers("one-and-the-same"))
    await world.send(poison, (noted(1), headers()), poison, (noted(2), headers()), poison, (noted(3), headers()))
    await until(lambda: notebook.noted == [1, 2, 3])
    (letter,) = await world.parked()
    assert (letter["message_id"], letter["attempts"]) == ("one-and-the-same", 3)
    assert letter["last_seen_at"] > letter["first_seen_at"]
    assert letter["message_offset"] == 4


async def test_parking_is_said_on_the_bus(world: World) -> None:
    await world.start(Notebook())
    await world.send((b"no json", headers("said-aloud")))
    await until(lambda: _has_letters(world))
    (letter,) = await world.parked()
    heard: list[MessageParked] = []
    while str(letter["dead_letter_id"]) not in [message.dead_letter_id for message in heard]:
        records = await world.on_the_bus(dead_letters_of(SERVICE).name, len(heard) + 1)
        heard = [msgspec.json.decode(record.value, type=MessageParked) for record in records]
    (said,) = [message for message in heard if message.dead_letter_id == str(letter["dead_letter_id"])]
    assert (said.group, said.topic, said.offset, said.cause) == (world.group, world.topic.name, 0, "payload_unreadable")


async def test_too_many_in_a_row_stop_the_line_instead_of_draining_it_into_the_dead_letters(world: World) -> None:
    notebook = Notebook()
    bus = await world.start(notebook)
    await world.send(*((b"no json", headers()) for _ in range(101)), (noted(1), headers()))
    await until(lambda: "too many messages in a row" in (bus.what_is_wrong() or ""))
    assert len(await world.parked()) == 100
    assert notebook.noted == []


async def test_a_message_that_cannot_even_be_parked_stops_the_consumer_and_is_not_skipped(world: World) -> None:
    await world.rows(f"REVOKE INSERT ON {SERVICE}.dead_letters FROM tallystick_{SERVICE}")
    notebook = Notebook()
    bus = await world.start(notebook)
    await world.send((b"no json", headers()), (noted(1), headers()))
    await until(lambda: "has stopped" in (bus.what_is_wrong() or ""))
    await world.stop(bus)
    assert await world.committed() is None

    await world.rows(f"GRANT INSERT ON {SERVICE}.dead_letters TO tallystick_{SERVICE}")
    await world.start(notebook)
    await until(lambda: notebook.noted == [1])
    assert len(await world.parked()) == 1


async def _has_letters(world: World) -> bool:
    return bool(await world.parked())
