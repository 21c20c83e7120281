"""Whoever is frozen, or denied as a sender, captures no hold and gives nothing back; he voids, and staff recovers."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from time import monotonic

import asyncpg
import pytest
from msgspec.structs import replace

from libs.common.contracts.fraud import CaptureScreened
from libs.common.contracts.transfers import TransferCommand
from libs.common.ids import new_id
from tests.integration.fraud.command_desk import (
    CONNECTION,
    Command,
    CommandDesk,
    capture,
    codes_of,
    commands_of,
    reversal,
    void,
)
from tests.integration.fraud.killed_instance import hear_capture_and_be_killed
from tests.integration.fraud.office import Office, transfer
from tests.integration.fraud.rulebook import enter, enter_within
from tests.integration.fraud.test_lists_at_release import remove
from tests.support.api_world import admin_connection

REFUSED = "transfer_not_permitted"


@pytest.fixture
async def commands(office: Office) -> AsyncIterator[CommandDesk]:
    """Give where commands are heard beside that office."""
    async with CommandDesk(office) as desk:
        yield desk


@pytest.fixture
async def elsewhere(office: Office) -> AsyncIterator[CommandDesk]:
    """Give another process that hears them, at the same clock."""
    async with CommandDesk(office) as desk:
        yield desk


async def rows_of(office: Office, command_id: str) -> list[tuple[str, str, int]]:
    """Return what is kept of a command: what it does, its code, and how many entries forbade it."""
    found = await office.query(
        "SELECT command, code, cardinality(denied_by) FROM fraud.command_decisions WHERE command_id = $1", command_id
    )
    return [tuple(row) for row in found]


@pytest.mark.parametrize(
    ("name", "subject", "code"),
    [
        ("freeze", "customer", REFUSED),
        ("deny", "customer", REFUSED),
        ("deny", "sender", REFUSED),
        ("deny", "receiver", ""),
        ("deny", "pair", ""),
        ("allow", "customer", ""),
    ],
)
async def test_a_freeze_or_a_denial_as_a_sender_forbids_what_moves_money_and_nothing_else(
    office: Office, commands: CommandDesk, fraud_admin_dsn: str, name: str, subject: str, code: str
) -> None:
    somebody, operator = new_id(), new_id()
    other = new_id() if subject == "pair" else ""
    await enter(fraud_admin_dsn, name, subject, somebody, other=other)
    captured, returned = capture(somebody, 5), reversal(somebody)

    asked: list[Command] = [captured, void(somebody), returned, reversal(operator), capture(new_id())]
    said = await commands.ask(*asked)

    assert [codes_of(one) for one in said] == [code, "", code, "", ""]
    assert commands_of(said) == asked, "word for word, in their order"
    assert {one.key for one in commands.publisher.sent} == {one.transfer_id for one in asked}
    denied_by = 1 if code else 0
    assert await rows_of(office, captured.command_id) == [("capture", code, denied_by)]
    assert await rows_of(office, returned.command_id) == [("reversal", code, denied_by)]
    assert await rows_of(office, asked[1].command_id) == [], "of a void nothing is decided"


async def test_a_freeze_ends_when_it_is_removed_and_what_was_refused_stays_refused(
    commands: CommandDesk, fraud_admin_dsn: str
) -> None:
    somebody = new_id()
    before, during = capture(somebody), capture(somebody)
    assert await commands.codes(before) == [""]
    entry_id = await enter(fraud_admin_dsn, "freeze", "customer", somebody)
    assert await commands.codes(during, before, during) == [REFUSED, "", REFUSED]
    await remove(fraud_admin_dsn, entry_id)
    assert await commands.codes(capture(somebody), before, during) == ["", "", REFUSED]


async def test_a_freeze_ends_with_its_time(office: Office, commands: CommandDesk, fraud_admin_dsn: str) -> None:
    somebody = new_id()
    async with admin_connection(fraud_admin_dsn) as entering:
        await entering.execute(
            "INSERT INTO fraud.list_entries (entry_id, list, subject, value, reason, added_by, added_at, expires_at)"
            " VALUES ($1, 'freeze', 'customer', $2, 'a test', 'somebody', $3, $4)",
            new_id(),
            somebody,
            office.now,
            office.now + timedelta(hours=1),
        )
    office.pass_time(minutes=59)
    assert await commands.codes(capture(somebody)) == [REFUSED]
    office.pass_time(minutes=1)
    assert await commands.codes(capture(somebody), reversal(somebody)) == ["", ""]


async def test_a_copy_gets_the_first_decision_word_for_word(
    office: Office, commands: CommandDesk, elsewhere: CommandDesk, fraud_admin_dsn: str
) -> None:
    somebody = new_id()
    await enter(fraud_admin_dsn, "freeze", "customer", somebody)
    asked: list[Command] = [capture(somebody, 7), reversal(new_id(), 8)]
    first = await commands.ask(*asked, *asked)
    office.pass_time(hours=1)
    again = await elsewhere.ask(*reversed(asked))
    assert first == [*first[:2], *first[:2]]
    assert again == first[1::-1]
    ids = [one.message_id for one in commands.publisher.sent]
    assert ids == [*ids[:2], *ids[:2]]
    assert [one.message_id for one in elsewhere.publisher.sent] == ids[1::-1]
    assert [await rows_of(office, one.command_id) for one in asked] == [
        [("capture", REFUSED, 1)],
        [("reversal", "", 0)],
    ]


async def test_two_processes_that_hear_one_command_at_once_decide_it_once(
    office: Office, commands: CommandDesk, elsewhere: CommandDesk
) -> None:
    for _ in range(5):
        asked = [capture(new_id()) for _ in range(20)]
        one, other = await asyncio.gather(commands.ask(*asked), elsewhere.ask(*reversed(asked)))
        assert one == other[::-1]
        office.pass_time(seconds=1)


async def until_one_waits_for_a_lock(dsn: str) -> None:
    async with admin_connection(dsn) as looking:
        deadline = monotonic() + 30
        while not await looking.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'", CONNECTION
        ):
            assert monotonic() < deadline, "nobody waits"
            await asyncio.sleep(0.01)


async def test_a_freeze_on_its_way_is_waited_for(commands: CommandDesk, fraud_admin_dsn: str) -> None:
    somebody = new_id()
    async with admin_connection(fraud_admin_dsn) as entering:
        async with entering.transaction():
            await enter_within(entering, "freeze", "customer", somebody)
            asking = asyncio.create_task(commands.codes(capture(somebody)))
            await until_one_waits_for_a_lock(fraud_admin_dsn)
        assert await asking == [REFUSED]


async def test_nobody_is_frozen_between_the_look_and_the_commit_and_who_sends_waits_for_neither(
    office: Office, commands: CommandDesk, fraud_admin_dsn: str
) -> None:
    somebody = new_id()
    async with admin_connection(fraud_admin_dsn) as entering, admin_connection(fraud_admin_dsn) as holding:
        await entering.execute("SET lock_timeout = '100ms'")
        captured = capture(somebody)
        # Somebody else is about to keep the same command: whoever decides on it has looked, and waits for him.
        async with holding.transaction():
            await holding.execute(
                "INSERT INTO fraud.command_decisions VALUES ($1, $2, $3, 'capture', '', '{}', now())",
                captured.command_id,
                captured.transfer_id,
                somebody,
            )
            asking = asyncio.create_task(commands.codes(captured))
            await until_one_waits_for_a_lock(fraud_admin_dsn)
            with pytest.raises(asyncpg.LockNotAvailableError):
                await enter_within(entering, "freeze", "customer", somebody)
            assert (await office.ask_one(transfer(new_id()))).verdict == "approve"
        assert await asking == [""]
        await enter_within(entering, "freeze", "customer", somebody)
    assert await commands.codes(captured, capture(somebody)) == ["", REFUSED]


async def test_a_freeze_that_was_entered_after_a_hold_was_opened_forbids_its_capture(
    office: Office, commands: CommandDesk, fraud_admin_dsn: str
) -> None:
    payer = new_id()
    hold: TransferCommand = replace(transfer(payer), hold_seconds=3_600)
    assert (await office.ask_one(hold)).verdict == "approve"
    await enter(fraud_admin_dsn, "freeze", "customer", payer)
    assert await commands.codes(capture(payer, transfer_id=hold.transfer_id)) == [REFUSED]


async def test_a_capture_uses_no_limit_and_no_limit_forbids_it(office: Office, commands: CommandDesk) -> None:
    payer = new_id()
    holds = [replace(transfer(payer), hold_seconds=3_600) for _ in range(49)]
    assert {one.verdict for one in await office.ask(*holds)} == {"approve"}
    version = await office.version_of(payer)

    captures = [capture(payer, transfer_id=hold.transfer_id) for hold in holds]
    assert set(await commands.codes(*captures)) == {""}

    assert await office.version_of(payer) == version, "nothing of his limits has moved"
    assert (await office.ask_one(transfer(payer))).verdict == "approve", "his fiftieth of the hour"
    assert (await office.ask_one(transfer(payer))).code == "hourly_count_limit_exceeded"
    assert await commands.codes(capture(payer, transfer_id=holds[0].transfer_id)) == [""]


@pytest.mark.parametrize("point", ["fraud.before_commit", "fraud.after_commit_before_publish"])
async def test_whoever_is_killed_in_between_has_decided_or_has_not(
    office: Office, commands: CommandDesk, fraud_admin_dsn: str, point: str
) -> None:
    somebody = new_id()
    captured = capture(somebody)
    assert await hear_capture_and_be_killed(office.dsn, captured, office.now, point) == -9
    await enter(fraud_admin_dsn, "freeze", "customer", somebody)

    is_decided = point == "fraud.after_commit_before_publish"

    assert len(await rows_of(office, captured.command_id)) == is_decided
    [said] = await commands.ask(captured)
    assert isinstance(said, CaptureScreened)
    assert said.code == ("" if is_decided else REFUSED), "decided before the freeze, or after it"
    unsent = await office.query("SELECT payload FROM fraud.outbox")
    assert sum(captured.command_id.encode() in bytes(row["payload"]) for row in unsent) == is_decided + 1


async def test_the_database_keeps_what_was_decided(office: Office, commands: CommandDesk) -> None:
    await commands.ask(capture(new_id()))
    for change in ("UPDATE fraud.command_decisions SET code = ''", "DELETE FROM fraud.command_decisions"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await office.query(change)
    keep = "INSERT INTO fraud.command_decisions VALUES ($1, $1, $1, $2, $3, $4, now())"
    for command, code, denied_by, constraint in (
        ("void", "", [], "command_decisions_command_known"),
        ("capture", "insufficient_funds", [new_id()], "command_decisions_code_known"),
        ("capture", REFUSED, [], "command_decisions_refused_by_entries"),
        ("reversal", "", [new_id()], "command_decisions_refused_by_entries"),
    ):
        with pytest.raises(asyncpg.CheckViolationError) as refused:
            await office.query(keep, new_id(), command, code, denied_by)
        assert refused.value.constraint_name == constraint


async def test_not_even_the_administrator_changes_a_decision(commands: CommandDesk, fraud_admin_dsn: str) -> None:
    await commands.ask(capture(new_id()))
    async with admin_connection(fraud_admin_dsn) as connection:
        for change in (
            "UPDATE fraud.command_decisions SET code = ''",
            "DELETE FROM fraud.command_decisions",
            "TRUNCATE fraud.command_decisions",
        ):
            with pytest.raises(asyncpg.CheckViolationError, match="accepts INSERT only"):
                await connection.execute(change)
