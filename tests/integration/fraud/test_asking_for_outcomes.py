"""A slot that moved nothing, and whose end nobody told, comes back: the ledger is asked, seldom and about few."""

from datetime import timedelta

import pytest

from libs.common.contracts.ledger import TransferStatus
from libs.common.errors import Unavailable
from libs.common.ids import new_id
from services.fraud.store.outcome_questions import find_open_slots, note_asked
from services.fraud.use_cases.ask_outcomes import QUESTIONS_MAX
from tests.integration.fraud.office import Office, changed, transfer
from tests.integration.fraud.watch_desk import WatchDesk, posted


async def _use_up(office: Office, payer: str, count: int = 50) -> list[str]:
    """Let him send as often as an hour allows; return the transfers."""
    commands = [transfer(payer) for _ in range(count)]
    assert {one.verdict for one in await office.ask(*commands)} == {"approve"}
    return [command.transfer_id for command in commands]


async def _asked(office: Office) -> list[str]:
    """Let one round pass; return what it asked about."""
    before = len(office.publisher.sent)
    await office.ask_outcomes()
    return [
        one.key for one in office.publisher.sent[before:] if one.message_type == "tallystick.fraud.outcome-asked.v1"
    ]


@pytest.mark.parametrize("status", ["refused", "voided"])
async def test_a_payer_at_his_limit_gets_the_slot_back_whose_end_was_lost(
    office: Office, status: TransferStatus
) -> None:
    payer = new_id()
    sent = await _use_up(office, payer)
    assert (await office.ask_one(transfer(payer))).code == "hourly_count_limit_exceeded"
    office.pass_time(seconds=20)

    assert sorted(await _asked(office)) == sorted(sent)
    for _ in range(3):  # however often it is told
        await office.hear(sent[7], status)

    assert (await office.ask_one(transfer(payer))).verdict == "approve"
    assert (await office.ask_one(transfer(payer))).code == "hourly_count_limit_exceeded"


async def test_nobody_is_asked_about_a_slot_that_was_just_taken_nor_about_who_is_far_from_his_limits(
    office: Office,
) -> None:
    near, far = new_id(), new_id()
    taken = await _use_up(office, near, 40)
    await _use_up(office, far, 39)
    office.pass_time(seconds=19)
    assert await _asked(office) == []
    office.pass_time(seconds=1)
    assert sorted(await _asked(office)) == sorted(taken)


async def test_what_is_known_to_be_posted_or_given_back_is_asked_about_no_more(office: Office, fraud_dsn: str) -> None:
    payer = new_id()
    sent = await _use_up(office, payer)
    async with WatchDesk(fraud_dsn) as watch:
        await watch.hear([posted(one, office.now) for one in sent[:30]])
    for one in sent[30:45]:
        await office.hear(one, "refused")
    office.forget()
    await office.ask(*[transfer(payer) for _ in range(5)])  # he is near his limit again
    office.pass_time(seconds=20)
    asked = await _asked(office)
    assert set(sent[45:]) <= set(asked)
    assert len(asked) == 10


async def test_each_slot_is_asked_about_five_times_within_its_day_and_then_forgotten(office: Office) -> None:
    payer = new_id()
    sent = await _use_up(office, payer)
    began, asked_after = office.now, []
    for _ in range(24 * 30):
        office.pass_time(minutes=2)
        if asked := await _asked(office):
            assert sorted(asked) == sorted(sent)
            asked_after.append(office.now - began)
    hours = timedelta(hours=1)
    assert asked_after == [
        hours / 30,
        hours / 30 + hours / 10,
        hours / 30 + hours / 10 + hours * 26 / 60,
        hours / 30 + hours / 10 + hours * 26 / 60 + 2 * hours,
        hours / 30 + hours / 10 + hours * 26 / 60 + 12 * hours,
    ]
    assert len(office.near) == 0, "nobody looks at who has nothing open"
    office.pass_time(hours=15)
    await office.ask_outcomes()
    assert await office.query("SELECT 1 FROM fraud.outcome_questions WHERE transfer_id = ANY($1)", sent) == []


async def test_a_round_asks_a_page_and_the_next_one_goes_on(office: Office) -> None:
    payers = [new_id() for _ in range(5)]
    sent = {one for payer in payers for one in await _use_up(office, payer)}
    office.pass_time(seconds=20)
    first, second = await _asked(office), await _asked(office)
    assert len(first) == QUESTIONS_MAX
    assert set(first) | set(second) == sent
    assert len(first) + len(second) == len(sent) == 250


async def test_two_instances_that_look_at_the_same_payer_ask_once(office: Office, second_office: Office) -> None:
    payer = new_id()
    sent = await _use_up(office, payer, 49)
    await second_office.ask_one(transfer(payer))
    for instance in (office, second_office):
        instance.pass_time(seconds=20)
    assert set(sent) <= set(await _asked(office))
    assert await _asked(second_office) == []


async def test_who_has_looked_before_another_asked_asks_nothing(office: Office, second_office: Office) -> None:
    payer = new_id()
    await _use_up(office, payer, 3)
    async with office.work.open() as one:
        slots = await find_open_slots(one.connection, payer, office.now, times_max=5, limit=10)
        assert len(await note_asked(one.connection, slots, office.now)) == 3
    async with second_office.work.open() as other:
        assert await note_asked(other.connection, slots, office.now) == []


async def test_a_hold_that_the_ledger_never_took_gives_its_slot_back_and_waits_no_more(office: Office) -> None:
    payer, payee = new_id(), new_id()
    await _use_up(office, payer, 49)
    held = await office.ask_one(transfer(payer, payee=payee, payee_tier=0))
    assert held.verdict == "hold"
    office.pass_time(seconds=20)
    assert held.command.transfer_id in await _asked(office)
    await office.settle([changed(held.command.transfer_id, "refused")])
    assert (await office.ask_one(transfer(payer))).verdict == "approve"


async def test_a_round_that_fails_forgets_nobody(office: Office, second_office: Office) -> None:
    payer = new_id()
    sent = await _use_up(office, payer)
    office.pass_time(seconds=20)
    async with second_office.work.open() as other:
        await other.connection.execute("LOCK TABLE fraud.outcome_questions")
        with pytest.raises(Unavailable):
            await office.ask_outcomes()
    assert sorted(await _asked(office)) == sorted(sent)
