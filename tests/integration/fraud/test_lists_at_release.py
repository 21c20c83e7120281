"""Whoever is frozen or denied while his transfer waits is not paid out, nor does he pay, when it has waited enough."""

import asyncio
from time import monotonic

import asyncpg
import msgspec
import pytest

from libs.common.contracts.transfers import TransferCommand
from libs.common.ids import new_id
from services.fraud.store.holds import lock_holds
from services.fraud.use_cases.end_holds import Resolved
from tests.integration.fraud.office import Office, transfer
from tests.integration.fraud.review_desk import Desk, hold_for_review
from tests.integration.fraud.rulebook import enter, enter_within
from tests.support.api_world import admin_connection

VERIFIED = """
    INSERT INTO fraud.users (user_id, version, kyc_status, kyc_tier, kyc_version) VALUES ($1, 1, 'approved', 1, 1)
"""
DENIED = ("reject", "transfer_not_permitted", ())


async def held_for_kyc(office: Office, payer: str | None = None) -> tuple[TransferCommand, str]:
    """Return a transfer that waits for its payee, and the payee. Lists are in memory from then on."""
    payee = new_id()
    command = msgspec.structs.replace(
        transfer(payer or new_id(), payee=payee, payee_tier=0, amount_minor=1_000_000_00),
        address_key=office.origins.address("203.0.114.8"),
        device_key=office.origins.device("phone 2"),
    )
    assert (await office.ask_one(command)).reasons == ("kyc_pending",)
    return command, payee


def ends(office: Office, transfer_id: str) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return how its hold was resolved: resolution, code and what remained, in order."""
    return [(one.resolution, one.code, one.remaining) for one in office.resolutions(transfer_id)]


async def remove(dsn: str, entry_id: str) -> None:
    """Take an entry off its list, so that it denies nothing of the next test."""
    async with admin_connection(dsn) as connection:
        await connection.execute(
            "UPDATE fraud.list_entries SET removed_at = now(), removed_by = 'b', removed_because = 'c'"
            " WHERE entry_id = $1",
            entry_id,
        )


@pytest.mark.parametrize(
    ("name", "subject", "whose"),
    [
        ("freeze", "customer", "payer"),
        ("freeze", "customer", "payee"),
        ("deny", "customer", "payer"),
        ("deny", "sender", "payer"),
        ("deny", "receiver", "payee"),
        ("deny", "pair", "payer"),
        ("deny", "address", "203.0.114.8"),
        ("deny", "device", "phone 2"),
    ],
)
async def test_whoever_was_denied_meanwhile_gets_his_money_and_his_slot_back(
    office: Office, fraud_admin_dsn: str, name: str, subject: str, whose: str
) -> None:
    payer = new_id()
    held, payee = await held_for_kyc(office, payer)
    await office.ask(*[transfer(payer, amount_minor=1_000_000_00) for _ in range(4)])
    value = {"payer": payer, "payee": payee}.get(whose, whose)
    entry_id = await enter(fraud_admin_dsn, name, subject, value, other=payee if subject == "pair" else "")

    for _ in range(2):
        await office.verify(payee)

    assert ends(office, held.transfer_id) == [DENIED]
    [row] = await office.query("SELECT reason FROM fraud.limit_releases WHERE transfer_id = $1", held.transfer_id)
    assert row["reason"] == "transfer_not_permitted"
    await remove(fraud_admin_dsn, entry_id)
    await office.ask_until_answered(transfer(payer, amount_minor=1_000_000_00))
    assert office.said[-1].verdict == "approve", "the slot is free again"


async def test_an_approved_review_does_not_let_go_what_a_list_denies(
    office: Office, desk: Desk, fraud_admin_dsn: str
) -> None:
    payer = new_id()
    held, fine = [await hold_for_review(office, transfer(payer)), await hold_for_review(office)]
    assert (await desk.say("approve", fine.transfer_id)).code == ""
    await enter(fraud_admin_dsn, "freeze", "customer", payer)

    decided = await desk.say("approve", held.transfer_id)

    assert (decided.review_status, decided.remaining, decided.code) == ("approved", (), "transfer_not_permitted")
    assert ends(office, held.transfer_id) == [DENIED]
    assert ends(office, fine.transfer_id) == [("release", "", ())]


async def test_the_sweeper_does_not_let_go_what_a_list_denies(office: Office, fraud_admin_dsn: str) -> None:
    held, payee = await held_for_kyc(office)
    await enter(fraud_admin_dsn, "freeze", "customer", payee)
    await office.query(VERIFIED, payee)
    await office.sweep()
    assert ends(office, held.transfer_id) == [DENIED]


async def test_what_waits_on_is_looked_up_when_it_has_waited_enough(
    office: Office, desk: Desk, fraud_admin_dsn: str
) -> None:
    payee = new_id()
    held = await hold_for_review(office, transfer(new_id(), payee=payee), ("review", "kyc_pending"))
    entry_id = await enter(fraud_admin_dsn, "freeze", "customer", payee)
    await office.verify(payee)
    await remove(fraud_admin_dsn, entry_id)

    await desk.say("approve", held.transfer_id)

    assert ends(office, held.transfer_id) == [("release", "", ("review",)), ("release", "", ())]


async def test_a_late_release_that_a_list_denies_takes_no_new_slot(office: Office, fraud_admin_dsn: str) -> None:
    payer = new_id()
    held, payee = await held_for_kyc(office, payer)
    office.pass_time(hours=23)
    await enter(fraud_admin_dsn, "freeze", "customer", payee)
    office.pass_time(hours=1)
    await office.verify(payee)
    assert ends(office, held.transfer_id) == [DENIED]
    assert await office.query("SELECT FROM fraud.late_slots WHERE user_id = $1", payer) == []


async def waits_for_a_lock(connection: asyncpg.Connection) -> None:
    """Return once the office's connection waits for somebody else's row."""
    deadline = monotonic() + 30
    while not await connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'fraud-test' AND wait_event_type = 'Lock'"
    ):
        assert monotonic() < deadline, "nobody waits"
        await asyncio.sleep(0.01)


async def test_an_entry_on_its_way_is_waited_for(office: Office, fraud_admin_dsn: str) -> None:
    held, payee = await held_for_kyc(office)
    async with admin_connection(fraud_admin_dsn) as entering, admin_connection(fraud_admin_dsn) as looking:
        async with entering.transaction():
            await enter_within(entering, "freeze", "customer", payee)
            releasing = asyncio.create_task(office.verify(payee))
            await waits_for_a_lock(looking)
        await releasing
    assert ends(office, held.transfer_id) == [DENIED]


async def test_nobody_is_entered_between_the_look_and_the_commit(
    office: Office, second_office: Office, fraud_admin_dsn: str
) -> None:
    held, payee = await held_for_kyc(office)
    await second_office.verify(new_id())
    async with admin_connection(fraud_admin_dsn) as entering:
        await entering.execute("SET lock_timeout = '100ms'")
        async with office.work.open() as transaction:
            await transaction.connection.execute(VERIFIED, payee)
            holds = await lock_holds(transaction.connection, [held.transfer_id])
            await office.resolve(transaction, holds, office.now, Resolved())
            with pytest.raises(asyncpg.LockNotAvailableError):
                await enter_within(entering, "freeze", "customer", payee)
            # Whoever decides on others waits for nobody.
            assert (await second_office.ask_one(transfer(new_id()))).verdict == "approve"
        await enter_within(entering, "freeze", "customer", payee)
    assert ends(office, held.transfer_id) == [("release", "", ())]


async def test_who_may_keep_the_lists_still_may_not_move_them(office: Office) -> None:
    for change in ("version = version + 1", "only_row = false"):
        with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.CheckViolationError)):
            await office.query(f"UPDATE fraud.screening_data SET {change}")
