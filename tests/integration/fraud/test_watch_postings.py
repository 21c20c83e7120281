"""From what the ledger posted to alerts: once, whatever comes twice, late, in another order or after a crash."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import asyncpg
import msgspec
import pytest

from libs.common import crash_points
from libs.common.contracts.ledger import TransferChanged
from libs.common.contracts.transfers import Leg, Party
from libs.common.ids import new_id
from services.fraud.domain.aml_edges import EDGES_MAX, Payment
from services.fraud.domain.moments import to_us
from services.fraud.store import aml_alerts, aml_edges
from services.fraud.store.aml_memory import Memory
from services.fraud.store.aml_rings import Rings
from services.fraud.store.aml_tallies import Tallies
from tallystick.stack.service_settings import dsn_of_role
from tests.integration.fraud.office import NOON, Office, deposit, transfer, withdrawal
from tests.integration.fraud.watch_desk import INDEX, WatchDesk, posted
from tests.integration.fraud.watch_desk import Payment as Paid
from tests.support.api_world import ROLE_PASSWORD, admin_connection, migrated_database


@pytest.fixture(scope="module")
def watched_admin_dsn(postgres_dsn: str) -> Iterator[str]:
    """Give the administrator's DSN of a database whose postings nobody else judges."""
    with migrated_database(postgres_dsn, "fraud") as admin_dsn:
        yield admin_dsn


@pytest.fixture(scope="module")
def watched_dsn(watched_admin_dsn: str) -> str:
    return dsn_of_role(watched_admin_dsn, "tallystick_fraud", ROLE_PASSWORD)


@pytest.fixture
async def desk(watched_dsn: str) -> AsyncIterator[WatchDesk]:
    async with WatchDesk(watched_dsn) as desk:
        yield desk


@pytest.fixture
async def second_desk(watched_dsn: str) -> AsyncIterator[WatchDesk]:
    async with WatchDesk(watched_dsn) as desk:
        yield desk


async def edges_of(desk: WatchDesk, *changes: TransferChanged) -> list[tuple[str | None, str | None, int]]:
    rows = await desk.query(
        "SELECT payer_id::text, payee_id::text, usd_minor FROM fraud.aml_edges WHERE transfer_id = ANY($1::uuid[])"
        " ORDER BY journal_index, place",
        [change.transfer_id for change in changes],
    )
    return [tuple(row) for row in rows]


# Who paid whom


async def test_who_paid_whom_is_told_by_the_decision(watched_dsn: str, desk: WatchDesk) -> None:
    payer, other, payee = new_id(), new_id(), new_id()
    single = transfer(payer, payee=payee, asset="EUR", amount_minor=10_00)
    paid_in, paid_out = deposit(amount_minor=50_00), withdrawal(payer, amount_minor=30_00)
    legs = (
        Leg(new_id(), new_id(), 10_00, "USD", payee),
        Leg(new_id(), new_id(), 20_00, "EUR", other),
        Leg(new_id(), new_id(), 5_00, "USD", payee),
    )
    several = msgspec.structs.replace(transfer(payer, legs=legs), payees=(Party(payee, 1, 1), Party(other, 1, 1)))
    own = transfer(payer, payee=payer)
    commands = (single, paid_in, paid_out, several, own)
    async with Office(watched_dsn) as office:
        await office.ask(*commands)

    changes = [posted(one.transfer_id, NOON) for one in commands]
    await desk.hear(changes)

    assert await edges_of(desk, *changes) == [
        (payer, payee, 11_00),
        (None, paid_in.payees[0].user_id, 50_00),
        (payer, None, 30_00),
        (payer, payee, 15_00),
        (payer, other, 22_00),
    ]


async def test_of_a_hold_captured_in_part_counts_what_was_captured(watched_dsn: str, desk: WatchDesk) -> None:
    payer, payee, other = new_id(), new_id(), new_id()
    single = transfer(payer, payee=payee, asset="EUR", amount_minor=10_00)
    legs = (Leg(new_id(), new_id(), 10_00, "USD", payee), Leg(new_id(), new_id(), 20_00, "USD", other))
    several = msgspec.structs.replace(transfer(payer, legs=legs), payees=(Party(payee, 1, 1), Party(other, 1, 1)))
    async with Office(watched_dsn) as office:
        await office.ask(single, several)

    changes = [
        posted(single.transfer_id, NOON, captured_minor=(4_00,), version=3),
        posted(several.transfer_id, NOON, captured_minor=(0, 7_00), version=2),
    ]
    await desk.hear(changes)

    assert await edges_of(desk, *changes) == [(payer, payee, 4_40), (payer, other, 7_00)]


async def test_what_was_not_posted_or_went_back_is_no_payment(desk: WatchDesk) -> None:
    [one] = await desk.decided((new_id(), new_id(), 100))
    for other in (
        {"status": "held"},
        {"status": "voided"},
        {"status": "refused"},
        {"reversed_minor": (100,)},
        {"reverses": new_id()},
    ):
        await desk.hear([msgspec.structs.replace(one, **other)])
    assert await edges_of(desk, one) == []


async def test_what_was_posted_more_than_a_week_ago_is_left_out(desk: WatchDesk) -> None:
    old, week = await desk.decided((new_id(), new_id(), 100), (new_id(), new_id(), 100))
    changes = [
        posted(old.transfer_id, NOON - timedelta(days=7, microseconds=1)),
        posted(week.transfer_id, NOON - timedelta(days=7)),
    ]
    await desk.hear(changes)
    assert len(await edges_of(desk, *changes)) == 1


async def test_a_posting_nobody_decided_on_is_passed_over(desk: WatchDesk) -> None:
    [known] = await desk.decided((new_id(), new_id(), 100))
    await desk.hear([posted(new_id(), NOON), known])
    assert len(await edges_of(desk, known)) == 1


# Alerts


async def test_what_proves_an_alert_is_kept_with_it(desk: WatchDesk) -> None:
    payer = new_id()
    changes = await desk.posts(*[(payer, new_id(), 9_000_00) for _ in range(3)])
    await desk.settle()

    [alert] = await desk.alerts(payer)

    assert (alert["typology"], alert["state"], alert["parameters_version"]) == ("structuring", "open", 1)
    assert (alert["window_from"], alert["window_to"]) == (NOON, NOON + timedelta(milliseconds=2))
    assert await desk.proof(alert["alert_id"]) == [change.transfer_id for change in changes]
    [[event, to_state, actor]] = await desk.query(
        "SELECT event, to_state, actor_id FROM fraud.alert_events WHERE alert_id = $1", alert["alert_id"]
    )
    assert (event, to_state, actor) == ("opened", "open", None)


async def test_all_three_patterns_are_found(desk: WatchDesk) -> None:
    mule, smurf, collector = new_id(), new_id(), new_id()
    await desk.posts(*[(smurf, new_id(), 8_500_00) for _ in range(3)])
    await desk.posts(*[(new_id(), collector, 500_00) for _ in range(10)])
    await desk.posts((new_id(), mule, 50_000_00), (mule, None, 49_000_00))
    await desk.settle()

    found = [[alert["typology"] for alert in await desk.alerts(one)] for one in (smurf, collector, mule)]
    assert found == [["structuring"], ["fan_in"], ["pass_through"]]


async def test_who_is_a_business_is_judged_by_what_is_usual_there(desk: WatchDesk) -> None:
    company, man = new_id(), new_id()
    await desk.query("INSERT INTO fraud.users (user_id, version, profile) VALUES ($1, 1, 'business')", company)
    for payee in (company, man):
        await desk.posts(*[(new_id(), payee, 500_00) for _ in range(10)])
    await desk.settle()
    assert await desk.alerts(company) == []
    assert len(await desk.alerts(man)) == 1


async def test_who_has_paid_him_long_ago_is_not_new(desk: WatchDesk) -> None:
    landlord, tenants = new_id(), [new_id() for _ in range(12)]
    await desk.posts(*[(tenant, landlord, 10_00) for tenant in tenants])
    await desk.settle()
    desk.pass_time(days=30)
    await desk.discard()
    assert await desk.query("SELECT 1 FROM fraud.aml_edges WHERE payee_id = $1", landlord) == []

    await desk.posts(*[(tenant, landlord, 1_500_00) for tenant in tenants], hours=30 * 24)
    await desk.settle()

    assert await desk.alerts(landlord) == []


async def test_more_of_the_same_joins_the_open_alert(desk: WatchDesk) -> None:
    payer = new_id()
    first = await desk.posts(*[(payer, new_id(), 9_000_00) for _ in range(3)])
    await desk.settle()
    more = await desk.posts((payer, new_id(), 9_000_00), hours=1)
    await desk.settle()

    [alert] = await desk.alerts(payer)

    assert await desk.proof(alert["alert_id"]) == [change.transfer_id for change in (*first, *more)]
    assert (alert["transfers"], alert["version"], alert["score"]) == (4, 2, 60)
    assert alert["window_to"] == NOON + timedelta(hours=1)
    events = await desk.query("SELECT event FROM fraud.alert_events ORDER BY alert_id DESC, version DESC LIMIT 2")
    assert [event for [event] in events] == ["joined", "opened"]


async def test_memory_and_table_agree_since_when_two_know_each_other(desk: WatchDesk) -> None:
    payer, payee, transfer_id = new_id(), new_id(), new_id()
    early, late, again = (to_us(NOON + timedelta(hours=hour)) for hour in (-3, 1, 2))
    kept = []
    async with desk.hot.transaction() as connection:
        for moments in ((late, early), (again,)):
            paid = [Payment(at, 3, next(INDEX), 0, transfer_id, payer, payee, 5) for at in moments]
            kept += await aml_edges.keep_edges(connection, paid, NOON)
        [_, ins] = await aml_edges.read_newest(connection, [payee])
    assert sorted(kept, key=lambda one: one.key) == sorted(ins, key=lambda one: one.key)
    assert [edge.known_since_us for edge in kept] == [early] * 3


async def close(desk: WatchDesk, alert_id: str, actor: str) -> None:
    await desk.query(
        "UPDATE fraud.alerts SET state = 'in_review', claimed_by = $2, version = version + 1 WHERE alert_id = $1",
        alert_id,
        actor,
    )
    await desk.query(
        "UPDATE fraud.alerts SET state = 'closed_false_positive', version = version + 1 WHERE alert_id = $1", alert_id
    )


async def test_after_a_closed_alert_only_new_transfers_open_another(desk: WatchDesk) -> None:
    payer = new_id()
    changes = await desk.posts(*[(payer, new_id(), 9_000_00) for _ in range(3)])
    await desk.settle()
    [alert] = await desk.alerts(payer)
    await close(desk, alert["alert_id"], new_id())

    late = await desk.posts((payer, new_id(), 10_00))
    await desk.settle()
    await desk.query("UPDATE fraud.aml_progress SET judged_up_to = 0")
    desk.memory.forget()
    await desk.settle()
    assert len(await desk.alerts(payer)) == 1, "the same transfers, judged again"

    more = await desk.posts((payer, new_id(), 9_000_00), hours=1)
    await desk.settle()
    _, second = await desk.alerts(payer)
    assert (second["state"], second["transfers"]) == ("open", 4)
    assert await desk.proof(second["alert_id"]) == [change.transfer_id for change in (*changes, *more)]
    assert late[0].transfer_id not in await desk.proof(second["alert_id"])


async def test_an_alert_holds_no_more_than_its_bound(desk: WatchDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aml_alerts, "PROOF_MAX", 4)
    payer = new_id()
    for hour in range(3):
        await desk.posts(*[(payer, new_id(), 9_000_00) for _ in range(3)], hours=hour)
        await desk.settle()
    [alert] = await desk.alerts(payer)
    assert (alert["transfers"], len(await desk.proof(alert["alert_id"]))) == (4, 4)


# Once, whatever happens


def a_week(chance: random.Random) -> tuple[list[str], list[tuple[float, Paid]]]:
    """Return people, and what they paid one another at which hour, with patterns among it."""
    people = [new_id() for _ in range(8)]
    paid: list[tuple[float, Paid]] = []
    for number in range(150):
        payer, payee = chance.sample([*people, None], 2)
        minor = chance.choice([100_00, 5_000_00, 8_000_00, 9_999_99, 10_000_00])
        paid.append((number / 3, (payer, payee, minor)))
    return people, paid


async def test_repetition_order_and_restart_change_nothing(
    desk: WatchDesk, second_desk: WatchDesk, watched_admin_dsn: str
) -> None:
    chance = random.Random(7)
    people, paid = a_week(chance)
    changes = [change for hour, payment in paid for change in await desk.decided(payment, hours=hour)]
    desk.pass_time(days=3)
    second_desk.now = desk.now

    for begin in range(0, len(changes), 10):
        await desk.hear(changes[begin : begin + 10])
        await desk.settle()
    in_order = await desk.everything_on(*people)
    assert {row[1] for row in in_order} >= {"structuring", "pass_through"}
    await forget_all(desk, watched_admin_dsn)

    # Another course: shuffled within what settles, each batch twice, with pauses, a restart, and two processes.
    for begin in range(0, len(changes), 30):
        lot = changes[begin : begin + 30] * 2
        chance.shuffle(lot)
        for part in range(0, len(lot), 7):
            await (desk if part % 2 else second_desk).hear(lot[part : part + 7])
        if begin % 60 == 0:
            await desk.settle()
            second_desk.now = desk.now
        else:
            second_desk.memory.forget()
            await second_desk.settle()
            desk.now = second_desk.now
    again = await desk.everything_on(*people)
    assert again == in_order
    await desk.hear(changes)
    await desk.settle()
    assert await desk.everything_on(*people) == again


async def forget_all(desk: WatchDesk, admin_dsn: str) -> None:
    """Begin the watch anew; no trigger keeps tests from it."""
    async with admin_connection(admin_dsn) as connection:
        await connection.execute(
            "SET session_replication_role = replica; DELETE FROM fraud.alert_events; DELETE FROM fraud.alert_transfers;"
            " DELETE FROM fraud.alerts; DELETE FROM fraud.aml_edges; DELETE FROM fraud.aml_contacts"
        )
    desk.memory.forget()


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("point", ["fraud.watch_before_commit", "fraud.watch_after_commit"])
@pytest.mark.parametrize("when", ["hearing", "judging"])
async def test_a_death_between_any_two_steps_costs_nothing_and_doubles_nothing(
    desk: WatchDesk, watched_dsn: str, point: str, when: str
) -> None:
    payer = new_id()
    changes = await desk.decided(*[(payer, new_id(), 9_000_00) for _ in range(3)])

    def die(name: str) -> None:
        if name == point:
            raise Killed

    if when == "judging":
        await desk.hear(changes)
    crash_points.install(die)
    try:
        with pytest.raises(Killed):
            await (desk.hear(changes) if when == "hearing" else desk.settle())
    finally:
        crash_points.install(lambda _: None)

    async with WatchDesk(watched_dsn) as successor:
        successor.now = desk.now
        await successor.hear(changes)
        await successor.settle()
        await successor.settle()
        [alert] = await successor.alerts(payer)
        assert (alert["transfers"], alert["version"]) == (3, 1)
        assert len(await edges_of(successor, *changes)) == 3


async def test_what_has_just_been_heard_of_waits_until_it_has_settled(desk: WatchDesk) -> None:
    payer = new_id()
    await desk.posts(*[(payer, new_id(), 9_000_00) for _ in range(3)])
    desk.pass_time(seconds=2.9)
    await desk.judge()
    assert await desk.alerts(payer) == []
    desk.pass_time(seconds=0.1)
    await desk.judge()
    assert len(await desk.alerts(payer)) == 1


async def test_a_clock_that_steps_back_passes_nobody_over(desk: WatchDesk) -> None:
    payer = new_id()
    desk.pass_time(hours=1)
    await desk.posts(*[(payer, new_id(), 9_000_00) for _ in range(2)])
    desk.pass_time(hours=-1)
    await desk.posts((payer, new_id(), 9_000_00))
    await desk.settle()
    assert len(await desk.alerts(payer)) == 1


async def test_money_that_comes_late_does_not_hide_what_was_posted_after_it(desk: WatchDesk) -> None:
    """Both halves of a pass-through, the first one told of hours after the second had been judged."""
    mule = new_id()
    came, went = await desk.decided((new_id(), mule, 10_000_00), (mule, new_id(), 9_500_00))
    await desk.hear([went])
    await desk.settle()
    assert await desk.alerts(mule) == []
    desk.pass_time(hours=5)
    await desk.hear([came])
    await desk.settle()
    [alert] = await desk.alerts(mule)
    assert await desk.proof(alert["alert_id"]) == [came.transfer_id, went.transfer_id]


async def test_two_processes_at_once_raise_one_alert(desk: WatchDesk, second_desk: WatchDesk) -> None:
    payer = new_id()
    for number in range(6):
        changes = await desk.decided((payer, new_id(), 9_000_00), hours=number)
        await asyncio.gather(desk.hear(changes), second_desk.hear(changes))
        desk.pass_time(seconds=4)
        second_desk.now = desk.now
        await asyncio.gather(desk.judge(), second_desk.judge())
    [alert] = await desk.alerts(payer)
    assert alert["transfers"] == 6


async def test_what_another_process_heard_of_is_judged_with_what_this_one_remembers(
    desk: WatchDesk, second_desk: WatchDesk
) -> None:
    payer = new_id()
    await desk.posts((payer, new_id(), 9_000_00))
    await desk.settle()
    second_desk.now = desk.now
    await second_desk.posts(*[(payer, new_id(), 9_000_00) for _ in range(2)], hours=1)
    await desk.settle()
    [alert] = await desk.alerts(payer)
    assert alert["transfers"] == 3


# Bounds


async def test_memory_is_bounded_and_what_was_forgotten_is_read_again(watched_dsn: str) -> None:
    people = [new_id() for _ in range(60)]
    async with WatchDesk(
        watched_dsn, memory=Memory(Rings(customers_max=20, edges_max=30), Tallies(tallies_max=15), waiting_max=25)
    ) as desk:
        most_people = most_edges = 0
        for hour in range(3):
            for payer in people:
                await desk.posts((payer, new_id(), 9_000_00), hours=hour)
                most_people, most_edges = (
                    max(most_people, len(desk.memory.rings)),
                    max(most_edges, desk.memory.rings.edges),
                )
            await desk.settle()
            most_people, most_edges = max(most_people, len(desk.memory.rings)), max(most_edges, desk.memory.rings.edges)
        assert most_people <= 20
        assert most_edges <= 30
        for payer in people:
            [alert] = await desk.alerts(payer)
            assert alert["transfers"] == 3


async def test_who_stays_below_every_bound_is_not_looked_through_and_is_once_he_passes_one(desk: WatchDesk) -> None:
    mule, others = new_id(), [new_id() for _ in range(15)]
    for hour, other in enumerate(others):
        await desk.posts((other, mule, 100_00), (mule, other, 10_00), hours=hour / 10)
    await desk.settle()
    assert len(desk.memory.rings) == 0
    assert await desk.alerts(mule) == []

    desk.memory.forget()
    await desk.posts((others[0], mule, 4_000_00), (mule, None, 5_000_00), hours=5)
    await desk.settle()
    [alert] = [one for one in await desk.alerts(mule) if one["typology"] == "pass_through"]
    assert alert["transfers"] == 32


async def test_what_was_kept_from_memory_and_what_was_counted_in_the_table_is_judged_alike(
    desk: WatchDesk, watched_dsn: str
) -> None:
    """One payment each settles at a time, so that the last of them alone decides."""
    collectors = [new_id(), new_id()]
    async with WatchDesk(watched_dsn, memory=Memory(tallies=Tallies(tallies_max=0), waiting_max=0)) as forgetful:
        for collector, one in zip(collectors, (desk, forgetful), strict=True):
            for hour in range(12):
                await one.posts((new_id(), collector, 200_00), hours=hour / 10)
                await one.settle()
    found = [[(one["typology"], one["transfers"]) for one in await desk.alerts(his)] for his in collectors]
    assert found == [[("fan_in", 12)]] * 2


async def test_of_one_customer_no_more_than_the_newest_payments_are_read(desk: WatchDesk) -> None:
    payer = new_id()
    await desk.query(
        "INSERT INTO fraud.aml_edges (shard, journal_index, place, transfer_id, payer_id, payee_id, usd_minor,"
        " posted_at, known_since, heard_at) SELECT 9, n, 0, gen_random_uuid(), $1, gen_random_uuid(), 1,"
        " $2::timestamptz + n * interval '1 second', $2, $2 FROM generate_series(1, 1200) n",
        payer,
        NOON,
    )
    async with desk.hot.autocommit() as connection:
        outs, ins = await aml_edges.read_newest(connection, [payer])
    assert (len(outs), len(ins)) == (EDGES_MAX, 0)
    assert min(edge.journal_index for edge in outs) == 1201 - EDGES_MAX


async def test_payments_go_after_two_weeks_unless_they_still_wait_to_be_judged(desk: WatchDesk) -> None:
    [judged] = await desk.posts((new_id(), new_id(), 100))
    await desk.settle()
    desk.pass_time(days=14, hours=23)
    await desk.discard()
    assert len(await edges_of(desk, judged)) == 1
    desk.pass_time(hours=1)
    await desk.discard()
    assert await edges_of(desk, judged) == []

    [waiting] = await desk.posts((new_id(), new_id(), 100), hours=15 * 24)
    desk.pass_time(days=20)
    await desk.discard()
    assert len(await edges_of(desk, waiting)) == 1
    await desk.settle()


# What the database keeps to


@pytest.mark.parametrize("table", ["alert_transfers", "alert_events", "aml_parameters"])
async def test_what_was_written_about_an_alert_stays(watched_admin_dsn: str, table: str) -> None:
    async with admin_connection(watched_admin_dsn) as connection:
        for statement in (f"DELETE FROM fraud.{table}", f"TRUNCATE fraud.{table} CASCADE"):
            with pytest.raises(asyncpg.CheckViolationError):
                await connection.execute(statement)


async def test_an_alert_is_neither_deleted_nor_reopened_nor_about_somebody_else(
    desk: WatchDesk, watched_admin_dsn: str
) -> None:
    payer = new_id()
    await desk.posts(*[(payer, new_id(), 9_000_00) for _ in range(3)])
    await desk.settle()
    [alert] = await desk.alerts(payer)
    change = "UPDATE fraud.alerts SET version = version + 1, {} WHERE subject_id = $1"
    async with admin_connection(watched_admin_dsn) as connection:
        for wrong, constraint in (
            ("state = 'closed_confirmed', claimed_by = alert_id", "alerts_legal_move"),
            ("subject_id = alert_id", "alerts_about_the_same"),
            ("state = 'in_review', claimed_by = subject_id", "alerts_not_by_subject"),
            ("state = 'in_review'", "alerts_claimed_unless_open"),
            ("version = 7", "alerts_next_version"),
        ):
            statement = change.format(wrong) if "version" not in wrong else change.replace("version + 1, {}", "7")
            with pytest.raises(asyncpg.CheckViolationError) as refused:
                await connection.execute(statement, payer)
            assert refused.value.constraint_name == constraint
        await close(desk, alert["alert_id"], new_id())
        for wrong in ("state = 'in_review'", "transfers = 4"):
            with pytest.raises(asyncpg.CheckViolationError):
                await connection.execute(change.format(wrong), payer)
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute("DELETE FROM fraud.alerts")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await desk.query("DELETE FROM fraud.alerts")
