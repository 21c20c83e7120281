"""While a message is parked, later ones of its key wait or go on, as the topic's contract says."""

from collections.abc import Mapping

import asyncpg
import pytest

from libs.common.db.shared_tables import without_key_queues_sql
from libs.common.telemetry.metrics import OLDEST_DEAD_LETTER_SECONDS
from tests.integration.messaging.conftest import ADMINISTRATOR, SERVICE, Notebook, World, headers, noted, until
from tests.integration.messaging.dead_letters_command_line import CommandLine, Refusing


async def send(world: World, key: bytes, *found: int) -> None:
    await world.send(*((noted(number), headers(f"note {number}")) for number in found), key=key)


async def states(world: World) -> dict[str, tuple[str, int | None]]:
    """Message id → (status, place in its key's queue)."""
    return {letter["message_id"]: (letter["status"], letter["queue_number"]) for letter in await world.parked()}


async def has_states(world: World, wanted: Mapping[str, tuple[str, int | None]]) -> bool:
    return await states(world) == wanted


async def letter_id(world: World, number: int) -> str:
    rows = await world.rows(
        f"SELECT dead_letter_id::text FROM {SERVICE}.dead_letters WHERE message_id = $1", f"note {number}"
    )
    return str(rows[0]["dead_letter_id"])


PARKED = {"note 7": ("parked", 1), "note 8": ("waiting", 2), "note 9": ("waiting", 3)}


async def park_seven(world: World, notebook: Notebook) -> None:
    """Let 8 come in the batch of 7, which is refused, and 9 after it; 1 and 2 have another key."""
    sender = await world.start()
    await send(world, b"a", 7, 8)
    await send(world, b"b", 1)
    await world.stop(sender)
    await world.start(notebook)
    await send(world, b"a", 9)
    await send(world, b"b", 2)
    await until(lambda: notebook.noted == [1, 2])
    await until(lambda: has_states(world, PARKED))


async def test_later_messages_of_its_key_wait_and_those_of_others_go_on(ordered: World) -> None:
    await park_seven(ordered, Notebook(Refusing()))
    letters = {letter["message_id"]: letter for letter in await ordered.parked()}
    assert [letters[f"note {number}"]["cause_code"] for number in (7, 8, 9)] == [
        "seven_refused",
        "waits_behind_parked",
        "waits_behind_parked",
    ]


async def test_where_the_contract_has_them_go_on_they_do(world: World) -> None:
    notebook = Notebook(Refusing())
    await world.start(notebook)
    await send(world, b"a", 7, 8, 9)
    await until(lambda: notebook.noted == [8, 9])
    assert await states(world) == {"note 7": ("parked", None)}


async def test_a_message_without_a_key_has_no_order(ordered: World) -> None:
    notebook = Notebook(Refusing())
    await ordered.start(notebook)
    for key in (None, b""):
        await ordered.send((noted(7), headers("note 7")), (noted(8), headers("note 8")), key=key)
    await until(lambda: notebook.noted == [8, 8])
    assert await states(ordered) == {"note 7": ("parked", None)}


async def test_replayed_when_mended_it_is_handled_and_what_waited_follows_in_order(
    ordered: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libs.common.messaging.watch_letters._LOOK_SECONDS", 3600)
    refusing = Refusing()
    notebook = Notebook(refusing)
    await park_seven(ordered, notebook)
    refusing.mend()
    await CommandLine(ordered).replay(await letter_id(ordered, 7))
    await until(lambda: notebook.noted == [1, 2, 7, 8, 9])
    done = {"note 7": ("replayed", None), "note 8": ("handled", None), "note 9": ("handled", None)}
    await until(lambda: has_states(ordered, done))
    await send(ordered, b"a", 10)
    await until(lambda: notebook.noted == [1, 2, 7, 8, 9, 10])


async def test_what_comes_between_its_replay_and_its_arrival_waits_too(ordered: World) -> None:
    refusing = Refusing()
    notebook = Notebook(refusing)
    await park_seven(ordered, notebook)
    await ordered.stop(ordered.running[-1])
    await send(ordered, b"a", 10)
    await CommandLine(ordered).replay(await letter_id(ordered, 7))
    assert (await states(ordered))["note 7"] == ("replayed", 1)
    await send(ordered, b"a", 11)
    refusing.mend()
    await ordered.start(notebook)
    await until(lambda: notebook.noted[2:] == [7, 8, 9, 10, 11])


async def test_when_it_is_given_up_what_waited_goes_on_without_it(ordered: World) -> None:
    notebook = Notebook(Refusing())
    await park_seven(ordered, notebook)
    await CommandLine(ordered).discard(await letter_id(ordered, 7), "sent by a test")
    await until(lambda: notebook.noted == [1, 2, 8, 9])
    await until(
        lambda: has_states(
            ordered, {"note 7": ("discarded", None), "note 8": ("handled", None), "note 9": ("handled", None)}
        )
    )


async def test_one_that_fails_for_a_cause_of_its_own_is_the_next_to_be_waited_for(ordered: World) -> None:
    refusing = Refusing(7, 8)
    notebook = Notebook(refusing)
    await park_seven(ordered, notebook)
    refusing.mend(7)
    await CommandLine(ordered).replay(await letter_id(ordered, 7))
    wanted = {"note 7": ("replayed", None), "note 8": ("parked", 2), "note 9": ("waiting", 3)}
    await until(lambda: has_states(ordered, wanted))
    assert notebook.noted == [1, 2, 7]
    refusing.mend()
    await CommandLine(ordered).replay(await letter_id(ordered, 8))
    await until(lambda: notebook.noted == [1, 2, 7, 8, 9])


async def test_after_a_restart_they_still_wait(ordered: World) -> None:
    refusing = Refusing()
    await park_seven(ordered, Notebook(refusing))
    await ordered.stop(ordered.running[-1])
    notebook = Notebook(refusing)
    await ordered.start(notebook)
    await send(ordered, b"a", 10)
    await until(lambda: has_states(ordered, PARKED | {"note 10": ("waiting", 4)}))
    assert 8 not in notebook.noted
    assert 9 not in notebook.noted


async def test_its_sender_may_say_it_again_and_it_is_handled_when_that_is_mended(ordered: World) -> None:
    refusing = Refusing()
    notebook = Notebook(refusing)
    await park_seven(ordered, notebook)
    await send(ordered, b"a", 8, 7)
    await until(lambda: _attempts(ordered, "note 7", 2))
    assert await states(ordered) == PARKED
    refusing.mend()
    await send(ordered, b"a", 8, 7)
    await until(lambda: notebook.noted == [1, 2, 7, 8, 9])
    handled = dict.fromkeys(PARKED, ("handled", None))
    await until(lambda: has_states(ordered, handled))


async def _attempts(world: World, message_id: str, wanted: int) -> bool:
    return (message_id, wanted) in [(letter["message_id"], letter["attempts"]) for letter in await world.parked()]


async def test_what_waits_is_not_replayed_by_itself_but_may_be_given_up(ordered: World) -> None:
    refusing = Refusing()
    notebook = Notebook(refusing)
    await park_seven(ordered, notebook)
    code, output = await CommandLine(ordered).run("replay", await letter_id(ordered, 8), "--by", ADMINISTRATOR)
    assert (code, "waits for an earlier one of its key" in " ".join(output.split())) == (1, True)
    await CommandLine(ordered).discard(await letter_id(ordered, 8), "sent by a test")
    refusing.mend()
    await CommandLine(ordered).replay(await letter_id(ordered, 7))
    await until(lambda: notebook.noted == [1, 2, 7, 9])


async def test_what_cannot_be_read_is_waited_for_as_well(ordered: World) -> None:
    notebook = Notebook()
    await ordered.start(notebook)
    await ordered.send((b"no json", headers("note 7")), (noted(8), headers("note 8")), key=b"a")
    await until(lambda: has_states(ordered, {"note 7": ("parked", 1), "note 8": ("waiting", 2)}))
    assert notebook.noted == []
    await CommandLine(ordered).discard(await letter_id(ordered, 7), "sent by a test")
    await until(lambda: notebook.noted == [8])


async def test_what_cannot_be_read_behind_another_is_left_to_people_when_that_one_is_handled(ordered: World) -> None:
    refusing = Refusing()
    notebook = Notebook(refusing)
    await ordered.start(notebook)
    await send(ordered, b"a", 7)
    await ordered.send((b"no json", headers("note 8")), (noted(9), headers("note 9")), key=b"a")
    await until(lambda: has_states(ordered, PARKED | {"note 8": ("parked", 2)}))
    refusing.mend()
    await CommandLine(ordered).replay(await letter_id(ordered, 7))
    left = {"note 7": ("replayed", None), "note 8": ("parked", 2), "note 9": ("waiting", 3)}
    await until(lambda: has_states(ordered, left))
    assert notebook.noted == [7]
    unreadable = (await ordered.parked())[1]
    assert (unreadable["attempts"], unreadable["cause_code"]) == (1, "payload_unreadable")


async def test_too_many_that_wait_for_one_stop_the_consumer(ordered: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.common.messaging.park_message.WAITING_MAX", 3)
    bus = await ordered.start(Notebook(Refusing()))
    await send(ordered, b"a", 7, 8, 9, 10)
    await until(lambda: "few messages wait for one that is parked" in (bus.what_is_wrong() or ""))
    assert set(await states(ordered)) == {"note 7", "note 8", "note 9"}


@pytest.mark.parametrize("fixture", ["world", "ordered"])
async def test_what_was_given_up_is_never_handled_whoever_sends_it_again(
    fixture: str, request: pytest.FixtureRequest, world: World, ordered: World
) -> None:
    chosen = {"world": world, "ordered": ordered}[fixture]
    refusing = Refusing()
    notebook = Notebook(refusing)
    await chosen.start(notebook)
    await send(chosen, b"a", 7)
    await until(lambda: has_letters(chosen))
    await CommandLine(chosen).discard(await letter_id(chosen, 7), "sent by a test")
    await chosen.stop(chosen.running[-1])
    refusing.mend()
    await chosen.start(notebook)
    await send(chosen, b"a", 7, 8)
    await until(lambda: notebook.noted == [8])
    assert {status for status, _ in (await states(chosen)).values()} == {"discarded"}


async def has_letters(world: World) -> bool:
    return bool(await world.parked())


async def test_how_long_the_oldest_has_waited_for_people_is_measured_until_they_decide(ordered: World) -> None:
    age = OLDEST_DEAD_LETTER_SECONDS.labels(ordered.group)._value
    await park_seven(ordered, Notebook(Refusing()))
    await ordered.rows(
        f"UPDATE {SERVICE}.dead_letters SET first_seen_at = now() - interval '2 hours' WHERE status = 'parked'"
    )
    await until(lambda: age.get() > 7200)
    await CommandLine(ordered).discard(await letter_id(ordered, 7), "sent by a test")
    await until(lambda: age.get() == 0)


async def test_a_row_of_failures_is_counted_from_its_beginning_by_whoever_comes_next(world: World) -> None:
    """A supervisor that restarts a bad deployment again and again must not drain the topic into the dead letters."""
    notebook = Notebook()
    bus = await world.start(notebook)
    await world.send_numbers(1)
    await world.send(*((b"no json", headers()) for _ in range(60)))
    await until(lambda: _are_parked(world, 60))
    await world.stop(bus)
    bus = await world.start(notebook)
    await world.send(*((b"no json", headers()) for _ in range(60)), (noted(2), headers()))
    await until(lambda: "too many messages in a row" in (bus.what_is_wrong() or ""))
    assert len(await world.parked()) == 100
    assert notebook.noted.count(2) == 0


async def _are_parked(world: World, wanted: int) -> bool:
    return len(await world.parked()) == wanted


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("status = 'waiting'", "dead_letters_waiting_in_queue"),
        ("status = 'handled', queue_number = 1", "dead_letters_ended_in_no_queue"),
        ("status = 'discarded', resolved_by = 'x'", "dead_letters_discarded_for_reason"),
        ("message_key = NULL, queue_number = 1", "dead_letters_queue_of_key"),
        ("status = 'lost'", "dead_letters_status_known"),
    ],
)
async def test_the_database_knows_what_a_letter_can_be(world: World, change: str, constraint: str) -> None:
    await world.rows(_LETTER)
    with pytest.raises(asyncpg.CheckViolationError) as refused:
        await world.rows(f"UPDATE {SERVICE}.dead_letters SET {change}")
    assert refused.value.constraint_name == constraint


async def test_where_the_queues_are_taken_back_what_waited_is_parked(world: World) -> None:
    await world.rows(_LETTER)
    await world.rows(f"UPDATE {SERVICE}.dead_letters SET status = 'waiting', queue_number = 1")
    for statement in filter(str.strip, without_key_queues_sql(SERVICE).split(";")):
        await world.rows(statement)
    (letter,) = await world.parked()
    assert (letter["status"], "queue_number" in letter) == ("parked", False)


_LETTER = f"""
INSERT INTO {SERVICE}.dead_letters (dead_letter_id, consumer_group, message_id, topic, partition_number, message_offset,
    message_key, message_type, headers, cause_code, cause, stack, transfer_ids)
VALUES (gen_random_uuid(), 'group', 'id', 'topic', 0, 0, 'key', 'type', '[]', 'code', 'cause', 'stack', '{{}}')
"""
