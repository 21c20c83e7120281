"""A batch that was presumed new and is not: what was decided in vain is taken back, and no window is read again."""

import contextlib
import copy
import random
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest

from libs.common.contracts.transfers import TransferCommand
from libs.common.errors import Conflict, Unprocessable
from libs.common.ids import new_id
from services.fraud.domain.moments import from_us, to_us
from services.fraud.domain.payer import Payer
from services.fraud.store.payer_cache import PayerCache
from services.fraud.store.users import load_customers, load_payers
from services.fraud.use_cases.find_payees import Asked
from tests.integration.fraud.office import Office, transfer

HOUR = timedelta(hours=1)
WINDOWS = "fraud.late_slots"


@pytest.fixture
async def lifted(fraud_dsn: str) -> AsyncIterator[Office]:
    """Give an instance that blocks nobody for sending often, so that windows grow."""
    async with Office(fraud_dsn, velocity_lifted=True) as office:
        yield office


async def _send_before(office: Office, users: Sequence[str], *, slots: int) -> None:
    """Have each of these sent so often during the day before."""
    for user in users:
        await office.query(
            "INSERT INTO fraud.decisions"
            " (transfer_id, decision_id, user_id, verdict, code, reasons, ruleset, usd_minor, features, decided_at)"
            " SELECT gen_random_uuid(), gen_random_uuid(), $1, 'approve', '', '{}', 1, slot, '{}',"
            " $2::timestamptz - slot * interval '17 seconds' FROM generate_series(1, $3::int) AS slot",
            user,
            office.now,
            slots,
        )
        await office.verify(user)


async def test_a_failed_presumption_reads_no_window_however_long_it_is(lifted: Office) -> None:
    users = [new_id() for _ in range(3)]
    await _send_before(lifted, users, slots=5_000)
    repeated = transfer(users[0])
    [first, *_] = await lifted.ask(repeated, *[transfer(user) for user in users])
    await lifted.ask(*[transfer(user) for user in users])
    lifted.publisher.sent.clear()

    async with lifted.statements() as sent:
        [again, *others] = await lifted.ask(repeated, *[transfer(user) for user in users])

    assert [one.exception is not None for one in sent].count(True) == 1, "the presumption failed"
    assert [one.query for one in sent if WINDOWS in one.query] == []
    assert len(sent) == 6, "payees, what is known of them, the write in vain; then what was decided, payees, the write"
    assert again == first
    assert [one.verdict for one in others] == ["approve"] * 3
    remembered = lifted.cache.get(users[0])
    assert remembered is not None
    assert len(remembered.window) == 5_004


async def test_nor_does_one_that_failed_because_an_asset_has_no_rate(lifted: Office) -> None:
    payer = new_id()
    await lifted.ask(transfer(payer), transfer(payer))
    await lifted.ask_one(transfer(payer))

    async with lifted.statements() as sent:
        await lifted.screen([Asked((transfer(payer),)), Asked((transfer(payer, asset="XXX"),))])

    assert [one.query for one in sent if WINDOWS in one.query] == []
    assert await lifted.version_of(payer) == 3


async def test_a_transfer_without_payer_spoils_nobody_s_memory(lifted: Office) -> None:
    payer = new_id()
    await lifted.ask_one(transfer(payer))
    poison = TransferCommand(
        transfer_id=new_id(),
        kind="transfer",
        actor_id=payer,
        payer=None,
        payees=(),
        legs=transfer(payer).legs,
        memo_commitment="",
        requested_at="2026-03-01T12:00:00.000000Z",
    )

    with pytest.raises(Unprocessable, match="payer_missing"):
        await lifted.ask_batch(transfer(payer), poison)

    remembered = lifted.cache.get(payer)
    assert remembered is not None
    assert (remembered.version, remembered.window.day_count) == (1, 1)


async def test_memory_equals_the_rows_after_any_batch_whether_its_presumption_held_or_failed(
    office: Office, lifted: Office
) -> None:
    chance = random.Random(8)
    failures = {office: 0, lifted: 0}
    for instance in (office, lifted):
        users = [new_id() for _ in range(5)]
        asked: list[Asked] = []
        for _ in range(150):
            instance.now += chance.choice([-HOUR, -HOUR / 60, HOUR * 0, HOUR / 60, HOUR / 2, HOUR])
            instance.now += HOUR * 23 if chance.randrange(20) == 0 else HOUR * 0
            batch = [_anything(chance, users) for _ in range(chance.randrange(1, 12))]
            batch += chance.sample(asked, k=min(len(asked), chance.choice([0, 0, 1, 6])))
            if chance.randrange(10) == 0:
                # Asked for alone and in a batch that cannot post: refused, whichever slots each would have used.
                alone = batch[0].commands[0]
                batch.append(Asked((alone, transfer(users[0], amount_minor=1_000_000_01)), batch_id=new_id()))
            chance.shuffle(batch)
            if chance.randrange(4) == 0:
                instance.forget()
            instance.screen._looks_first = chance.randrange(4) == 0
            async with instance.statements() as sent:
                with contextlib.suppress(Conflict):
                    await instance.screen(batch)
                    asked += batch
            failures[instance] += sum(one.exception is not None for one in sent)
            instance.seconds += 0.5
            await instance.screen.retry_set_aside()
            if chance.randrange(4) == 0 and asked:
                await instance.hear(chance.choice(asked).commands[0].transfer_id, "refused")
            await _expect_memory_equals_rows(instance)
    assert min(failures.values()) > 10, "or nothing was proved"


def _anything(chance: random.Random, users: Sequence[str]) -> Asked:
    """Ask for what is approved, held, blocked or waits for a rate; alone, or with others that post together."""
    commands = tuple(
        transfer(
            chance.choice(users),
            amount_minor=chance.choice([1_00, 5_000_00, 900_000_00, 1_000_000_01]),
            asset=chance.choice(["USD"] * 19 + ["XXX"]),
            payee_tier=chance.choice([0, 1, 1, 1, 1]),
        )
        for _ in range(chance.choice([1, 1, 1, 2, 4]))
    )
    return Asked(commands, batch_id=new_id() if len(commands) > 1 else None)


async def _expect_memory_equals_rows(office: Office) -> None:
    """Compare everybody remembered with what a process would read that begins now."""
    remembered = dict(office.cache._payers)
    async with office.hot.autocommit() as connection:
        rows = await load_customers(connection, list(remembered))
        for user_id, payer in remembered.items():
            now_us = payer.moment(to_us(office.now))
            read = await load_payers(connection, PayerCache(), [user_id], rows, from_us(now_us))
            assert _figures(payer, now_us) == _figures(read[user_id], now_us)


def _figures(payer: Payer, now_us: int) -> tuple[object, ...]:
    window = copy.deepcopy(payer.window)
    window.advance(now_us)
    slots = sorted(zip(window._times, window._minors, strict=True))
    return (
        (payer.version, payer.profile, payer.kyc_tier, payer.kyc_version, payer.last_decided_us),
        (window.hour_count, window.day_count, window.day_sum_minor),
        slots[len(slots) - window.day_count :],
    )
