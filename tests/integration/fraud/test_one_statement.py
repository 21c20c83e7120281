"""The ordinary case, all approved: one statement is the whole transaction. It stands or falls as one did before."""

import asyncio

import asyncpg
import pytest

from libs.common import crash_points
from libs.common.contracts.transfers import TransferCommand
from libs.common.errors import Unavailable
from libs.common.ids import new_id
from services.fraud.use_cases.find_payees import Asked
from tests.integration.fraud.office import Office, deposit, transfer


async def firsts(office: Office, *asked: Asked) -> list[str]:
    """Screen these, and return the first word of each statement that went to the database."""
    async with office.statements() as sent:
        await office.screen(asked)
    return [one.query.split()[0].strip(";") for one in sent]


async def outbox_ids(office: Office) -> set[str]:
    return {row[0] for row in await office.query("SELECT row_id::text FROM fraud.outbox")}


async def decided(office: Office, *transfer_ids: str) -> int:
    return len(await office.query("SELECT FROM fraud.decisions WHERE transfer_id = ANY($1::uuid[])", transfer_ids))


async def test_a_new_transfer_between_remembered_customers_costs_two_round_trips(office: Office) -> None:
    payer, payee = new_id(), new_id()
    await office.ask_one(transfer(payer, payee=payee))

    def another() -> TransferCommand:
        return transfer(payer, payee=payee)

    assert await firsts(office, Asked((another(),))) == ["SELECT", "WITH"]
    assert await firsts(office, *[Asked((another(),)) for _ in range(20)]) == ["SELECT", "WITH"]
    assert await firsts(office, Asked((another(), another()), batch_id=new_id())) == ["SELECT", "WITH"]
    assert await firsts(office, Asked((transfer(payer),))) == ["SELECT", "SELECT", "WITH"], "a payee never seen before"


async def test_rows_are_written_in_the_order_of_their_payers_and_answered_in_that_of_the_requests(
    office: Office,
) -> None:
    payers = sorted((new_id() for _ in range(5)), reverse=True)
    commands = [transfer(payer) for payer in payers]
    async with office.statements() as sent:
        await office.ask(*commands)

    assert [message.command for message in office.said] == commands
    written = [argument for argument in sent[-1].args if isinstance(argument, list) and set(argument) == set(payers)]
    assert written == [sorted(payers)] * 3, "customers, decisions and activity"


async def test_a_deposit_is_written_without_any_payer(office: Office) -> None:
    await office.ask_one(deposit(amount_minor=100))
    await asyncio.sleep(0)  # the acknowledgement is noted in the loop's next turn
    command = deposit(amount_minor=100)
    before = await outbox_ids(office)

    assert await firsts(office, Asked((command,))) == ["SELECT", "WITH"]

    assert [message.command for message in office.said[1:]] == [command]
    [row] = await office.query(
        "SELECT user_id, verdict FROM fraud.decisions WHERE transfer_id = $1", command.transfer_id
    )
    assert tuple(row) == (None, "approve")
    after = await outbox_ids(office)
    assert (len(after - before), len(before - after)) == (1, 1), "its own row for the acknowledged one"


async def test_a_block_or_a_hold_among_the_approved_still_goes_through_a_transaction(office: Office) -> None:
    payer = new_id()
    payee, unverified = new_id(), new_id()
    approved, blocked = transfer(payer, payee=payee), transfer(payer, payee=payee, amount_minor=1_000_000_01)
    held = transfer(payer, payee=unverified, payee_tier=0)
    await office.ask_one(transfer(payer, payee=payee))
    await office.ask_one(transfer(payer, payee=unverified))

    mixed = await firsts(office, Asked((approved,)), Asked((blocked,)))
    waiting = await firsts(office, Asked((held,)))
    both = (transfer(payer, payee=payee), transfer(payer, payee=unverified, payee_tier=0))
    refused = await firsts(office, Asked(both, batch_id=new_id()))

    assert mixed == ["SELECT", "BEGIN", "WITH", "WITH", "COMMIT"]
    assert waiting == ["SELECT", "BEGIN", "WITH", "WITH", "INSERT", "INSERT", "COMMIT"]
    assert refused == ["SELECT", "BEGIN", "WITH", "WITH", "INSERT", "COMMIT"]
    assert await decided(office, approved.transfer_id, blocked.transfer_id, held.transfer_id) == 3
    assert await office.version_of(payer) == 5


async def test_who_decided_later_than_the_clock_says_keeps_his_time_beside_others_at_theirs(office: Office) -> None:
    """One time is sent for all; it must not become that of somebody whose last decision is ahead of it."""
    office.pass_time(days=1_500)  # when nobody else decides
    ahead, behind = new_id(), new_id()
    await office.ask_one(transfer(ahead))
    later = office.now
    office.pass_time(hours=-2)

    for amount_minor in (1_00, 1_000_000_01):
        await office.ask(*[transfer(user, amount_minor=amount_minor) for user in (ahead, behind)])

    times = {ahead: later, behind: office.now}
    both = [ahead, behind]
    decisions = await office.query(
        "SELECT user_id::text, decided_at FROM fraud.decisions WHERE user_id = ANY($1)", both
    )
    assert sorted(map(tuple, decisions)) == sorted([(ahead, later)] * 3 + [(behind, office.now)] * 2)
    users = await office.query("SELECT user_id::text, last_decided_at FROM fraud.users WHERE user_id = ANY($1)", both)
    assert dict(map(tuple, users)) == times
    remembered = await office.query(
        "SELECT payer_id::text, decided_at, count(*), count(*) FILTER (WHERE blocked) FROM fraud.activity"
        " WHERE payer_id = ANY($1) GROUP BY 1, 2",
        both,
    )
    assert sorted(map(tuple, remembered)) == sorted([(ahead, later, 3, 1), (behind, office.now, 2, 1)])
    counts = await office.query(
        "SELECT hour, verdict, sum(decisions), sum(usd_minor) FROM fraud.decision_counts WHERE hour >= $1 GROUP BY 1, 2"
        " ORDER BY 1, 2",
        office.now,
    )
    assert [tuple(row) for row in counts] == [
        (office.now, "approve", 1, 1_00),
        (office.now, "block", 1, 1_000_000_01),
        (later, "approve", 2, 100_00 + 1_00),
        (later, "block", 1, 1_000_000_01),
    ]


@pytest.mark.parametrize("amount_minor", [1_00, 1_000_000_01])
async def test_limits_that_moved_elsewhere_leave_nothing_written_of_anybody(
    office: Office, second_office: Office, amount_minor: int
) -> None:
    """Alone in its statement, and with a block beside it in a transaction."""
    moved, known = new_id(), new_id()
    newcomers = [new_id(), new_id()]
    await office.ask(transfer(moved), transfer(known))
    await second_office.ask_one(transfer(moved))
    before = await outbox_ids(office)
    office.publisher.sent.clear()
    commands = [transfer(user) for user in (newcomers[0], known, moved, newcomers[1])]
    commands += [deposit(amount_minor=1), transfer(known, amount_minor=amount_minor)]

    with pytest.raises(Unavailable, match="limits_moved"):
        await office.ask(*commands)

    assert [await office.version_of(user) for user in (moved, known)] == [2, 1]
    assert await office.query("SELECT FROM fraud.users WHERE user_id = ANY($1::uuid[])", newcomers) == []
    assert await decided(office, *[command.transfer_id for command in commands]) == 0
    assert await outbox_ids(office) == before
    assert office.said == []
    await office.ask(*commands)
    assert [await office.version_of(user) for user in (moved, known, *newcomers)] == [3, 2, 1, 1]


async def test_what_was_acknowledged_is_deleted_along_with_it_and_stays_to_be_deleted_when_it_fails(
    office: Office, second_office: Office
) -> None:
    payer = new_id()
    before = await outbox_ids(office)
    await office.ask_one(transfer(payer))
    await asyncio.sleep(0)  # the acknowledgement is noted in the loop's next turn
    [acknowledged] = await outbox_ids(office) - before
    await second_office.ask_one(transfer(payer))

    with pytest.raises(Unavailable, match="limits_moved"):
        await office.ask_one(transfer(payer))
    assert acknowledged in await outbox_ids(office)
    assert office.outbox._finished == [acknowledged]
    assert acknowledged in office.outbox._ours, "the sweeper would send it again"

    await office.ask_one(transfer(payer))
    assert acknowledged not in await outbox_ids(office)
    assert acknowledged not in office.outbox._ours


async def test_a_connection_lost_under_it_is_unavailable_and_the_batch_comes_again(
    office: Office, second_office: Office
) -> None:
    payer = new_id()
    await office.ask_one(transfer(payer))
    command = transfer(payer)
    async with second_office.hot.transaction() as blocker:
        await blocker.execute("SELECT FROM fraud.users WHERE user_id = $1 FOR UPDATE", payer)
        deciding = asyncio.create_task(office.screen([Asked((command,))]))
        await _cut_whoever_waits_for(blocker)
        with pytest.raises(Unavailable, match="database_"):
            await deciding
    assert len(office.said) == 1

    assert (await office.ask_one(command)).verdict == "approve"
    assert await office.version_of(payer) == 2


async def _cut_whoever_waits_for(blocker: asyncpg.Connection) -> None:
    async with asyncio.timeout(30):
        while True:
            if await blocker.fetchval(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))"
            ):
                return
            await asyncio.sleep(0.01)


class Killed(BaseException):
    """Nothing in the service may catch this, as nothing catches a kill."""


@pytest.mark.parametrize("amount_minor", [1_00, 1_000_000_01])
@pytest.mark.parametrize(
    ("point", "committed"), [("fraud.before_commit", False), ("fraud.after_commit_before_publish", True)]
)
async def test_the_points_of_a_crash_lie_where_their_names_say(
    office: Office, monkeypatch: pytest.MonkeyPatch, amount_minor: int, point: str, *, committed: bool
) -> None:
    command = transfer(new_id(), amount_minor=amount_minor)
    reached = []

    def kill(name: str) -> None:
        reached.append(name)
        if name == point:
            raise Killed

    before = await outbox_ids(office)
    with monkeypatch.context() as killing:
        killing.setattr(crash_points, "_hook", kill)
        with pytest.raises(Killed):
            await office.ask_one(command)

    assert reached == ["fraud.before_commit", "fraud.after_commit_before_publish"][: 1 + committed]
    assert await decided(office, command.transfer_id) == committed
    assert len(await outbox_ids(office) - before) == committed
    assert office.said == []
    await office.ask_one(command)
    assert len(office.said) == 1
