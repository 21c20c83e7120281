"""Requests that come again: answered with what was decided first, whoever decided it, and no limit is used twice."""

import asyncio

import asyncpg
import msgspec
import pytest

from libs.common.contracts.transfers import Leg, TransferCommand
from libs.common.errors import Unavailable
from libs.common.ids import new_id
from services.fraud.metrics import CONFLICTS, DECISIONS_REPEATED
from services.fraud.use_cases.find_payees import Asked
from services.fraud.use_cases.set_aside import PATIENCE_SECONDS
from tests.integration.fraud.office import NOON, Office, deposit, transfer
from tests.support.api_world import admin_connection

LOOK = "WITH ORDINALITY AS asked (transfer_id, place)"


class Counted:
    """How much the counters grew since they were looked at."""

    def __init__(self) -> None:
        self._before = self._now()

    def _now(self) -> tuple[float, float]:
        return CONFLICTS._value.get(), DECISIONS_REPEATED._value.get()

    @property
    def conflicts(self) -> float:
        return self._now()[0] - self._before[0]

    @property
    def repeated(self) -> float:
        return self._now()[1] - self._before[1]


@pytest.mark.parametrize("remembered", [True, False])
async def test_a_repetition_right_after_the_first_gets_the_same_answer_and_uses_no_limit_again(
    office: Office, *, remembered: bool
) -> None:
    payer = new_id()
    commands = [transfer(payer), transfer(payer, payee_tier=0), transfer(payer, amount_minor=1_000_000_01)]
    first = await office.ask(*commands)
    assert [one.verdict for one in first] == ["approve", "hold", "block"]
    if not remembered:
        office.forget()
    office.publisher.sent.clear()
    counted = Counted()

    again = await office.ask(*commands)

    assert again == first
    assert (counted.repeated, counted.conflicts) == (3, 0)
    assert await office.version_of(payer) == 1
    rest = await office.ask(*[transfer(payer) for _ in range(49)])
    assert [one.verdict for one in rest] == ["approve"] * 48 + ["block"]


async def test_what_is_new_beside_a_repetition_is_decided_once_and_exactly(office: Office) -> None:
    payer = new_id()
    [first] = await office.ask(repeated := transfer(payer))

    new = [transfer(payer) for _ in range(50)]
    said = await office.ask(*new[:10], repeated, *new[10:], repeated)

    assert said[10] == first
    fresh = [*said[:10], *said[11:-1]]
    assert [one.verdict for one in fresh] == ["approve"] * 49 + ["block"]
    assert await office.version_of(payer) == 2


async def test_after_a_repetition_decisions_are_looked_for_until_a_batch_brings_none(office: Office) -> None:
    payer = new_id()
    old = transfer(payer)
    await office.ask_one(old)

    async def looks_and_refusals(command: TransferCommand) -> tuple[int, int]:
        async with office.statements() as sent:
            await office.ask_one(command)
        return sum(LOOK in one.query for one in sent), sum(one.exception is not None for one in sent)

    assert await looks_and_refusals(old) == (1, 1)
    assert await looks_and_refusals(old) == (1, 0)
    assert await looks_and_refusals(transfer(payer)) == (1, 0)
    assert await looks_and_refusals(transfer(payer)) == (0, 0)


async def test_two_instances_that_decide_the_same_at_once_say_the_same_and_use_the_limit_exactly(
    office: Office, second_office: Office
) -> None:
    payer = new_id()
    both = [transfer(payer) for _ in range(40)]
    deposits = [deposit(amount_minor=100) for _ in range(5)]
    mine, yours = [transfer(payer) for _ in range(10)], [transfer(payer) for _ in range(10)]

    async with asyncio.timeout(60):
        for here, there in ((both, both), (deposits, deposits), (mine, yours), (yours, mine)):
            await asyncio.gather(office.ask_until_answered(*here), second_office.ask_until_answered(*there))

    rows = await office.query("SELECT verdict, count(*) FROM fraud.decisions WHERE user_id = $1 GROUP BY 1", payer)
    assert dict(rows) == {"approve": 50, "block": 10}
    assert await office.version_of(payer) == 3
    said = {message.command.transfer_id: message for message in office.said}
    assert len(said) == len(office.said) == 65
    assert said == {message.command.transfer_id: message for message in second_office.said}


@pytest.mark.parametrize("looked_first", [False, True])
async def test_what_another_instance_commits_meanwhile_is_answered_or_comes_again(
    office: Office, second_office: Office, *, looked_first: bool
) -> None:
    """Found by its key: looked for, once. Missed by the look as well: it is delivery that tries again, not a loop."""
    command, decision_id = deposit(amount_minor=100), new_id()
    office.screen._looks_first = looked_first
    counted = Counted()

    async with second_office.hot.transaction() as connection:
        await connection.execute(
            "INSERT INTO fraud.decisions (transfer_id, decision_id, verdict, code, reasons, ruleset, usd_minor,"
            " features, decided_at) VALUES ($1, $2, 'approve', '', '{}', 1, 100, '{}', $3)",
            command.transfer_id,
            decision_id,
            NOON,
        )
        deciding = asyncio.create_task(office.screen([Asked((command,))]))
        await _until_it_waits(connection)

    if looked_first:
        with pytest.raises(Unavailable, match="decided_elsewhere"):
            await deciding
        assert (office.said, counted.conflicts) == ([], 1)
        await office.screen([Asked((command,))])
    else:
        await deciding
        assert counted.conflicts == 0
    assert [message.decision_id for message in office.said] == [decision_id]
    assert counted.repeated == 1


async def _until_it_waits(connection: asyncpg.Connection) -> None:
    async with asyncio.timeout(30):
        while True:
            if await connection.fetchval(
                "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid)))"
            ):
                return
            await asyncio.sleep(0.01)


async def test_a_decision_stands_though_its_asset_has_lost_its_rate(
    fraud_dsn: str, fraud_admin_dsn: str, office: Office
) -> None:
    command = transfer(new_id(), asset="XAU")
    async with admin_connection(fraud_admin_dsn) as connection:
        await connection.execute("INSERT INTO fraud.usd_rates VALUES ('XAU', 1, 1, now(), 1)")
        first = await office.ask_one(command)
        await connection.execute("DELETE FROM fraud.usd_rates WHERE asset = 'XAU'")

    async with Office(fraud_dsn) as restarted:
        assert await restarted.ask_one(command) == first


async def test_a_repetition_does_not_wait_for_a_payee_that_its_decision_did_without(
    office: Office, second_office: Office
) -> None:
    unknown = msgspec.structs.replace(transfer(new_id(), legs=(Leg(new_id(), new_id(), 5_00, "USD", ""),)), payees=())
    await office.screen([Asked((unknown,))])
    office.seconds += PATIENCE_SECONDS
    first = await office.ask_one(unknown)

    assert await second_office.ask_one(unknown) == first
