"""Holds, captures, reversals and limits as they are written: in one commit, once, and verified from the journal."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import msgspec
import pytest

from libs.common.contracts.ledger import CommandDecided
from services.ledger.domain.commands import BlockedCommand, ExpireHold
from services.ledger.use_cases.expire_holds import ExpireHolds
from tests.integration.ledger.books import Books, check, until_confirmed
from tests.support.api_world import admin_connection
from tests.support.ledger_builders import (
    capture,
    change,
    fees,
    held,
    id_of,
    leg,
    resolved,
    reverse,
    screened,
    void,
    withdrawal,
)

HOUR = 3_600


@pytest.fixture
async def books_beside(ledger_dsn: str) -> AsyncIterator[Books]:
    """Give a second process over the same database."""
    async with Books(ledger_dsn) as books:
        yield books


async def numbers(admin_dsn: str, name: str) -> tuple[int, int, int]:
    """Return (posted, pending out, pending in)."""
    async with admin_connection(admin_dsn) as connection:
        row = await connection.fetchrow(
            "SELECT posted_minor, pending_out_minor, pending_in_minor FROM ledger.accounts WHERE account_id = $1",
            id_of(name),
        )
    return tuple(row)


def decided(books: Books, command_id: str) -> list[tuple[str, str]]:
    """What the bus was told of a command, in order."""
    told = [item.payload for item in books.publisher.sent if item.key == command_id]
    said = [msgspec.json.decode(payload, type=CommandDecided) for payload in told]
    return [(each.status, each.code) for each in said]


async def test_a_hold_is_captured_in_parts_and_everything_verifies(books: Books, admin_dsn: str) -> None:
    await books.fund(alice=1_000, bob=1)
    await books.do(screened("h", leg("alice", "bob", 600), hold_seconds=HOUR))
    await books.do(capture("h", 100, as_="one"), capture("h", 900, as_="two"))
    await books.do(capture("h", 50, as_="three", final=True))
    await books.do(capture("h", 100, as_="one"), void("h"))
    assert [(each.status, each.resolver, each.captured_minor) for each in books.told("h")] == [
        ("held", "caller", ()),
        ("held", "caller", (100,)),
        ("posted", "caller", (150,)),
        ("held", "caller", (100,)),  # told again with the answer to the copy: the state that this capture made
    ]
    assert set(decided(books, id_of("one of h"))) == {("done", "")}
    assert decided(books, id_of("two of h")) == [("refused", "capture_exceeds_hold")]
    assert decided(books, id_of("void of h")) == [("refused", "transfer_not_held")]
    assert await numbers(admin_dsn, "alice") == (850, 0, 0)
    assert await numbers(admin_dsn, "bob") == (151, 0, 0)
    await books.outcomes.flush()
    await check(admin_dsn)


async def test_what_fraud_blocks_is_refused_once_whoever_hears_it_again_and_everything_verifies(
    books: Books, books_beside: Books, admin_dsn: str
) -> None:
    await books.fund(alice=1_000, bob=1)
    await books.do(screened("h", leg("alice", "bob", 600), hold_seconds=HOUR), screened("t", leg("alice", "bob", 100)))
    blocked = [BlockedCommand(asked, "transfer_not_permitted") for asked in (capture("h", 50), reverse("t", 50))]
    for each in (books, books_beside):
        await each.do(*blocked)
        assert decided(each, id_of("capture of h")) == [("refused", "transfer_not_permitted")]
        assert each.last("reversal of t") == [("refused", "transfer_not_permitted")]
    async with admin_connection(admin_dsn) as connection:
        records = await connection.fetch("SELECT kind FROM ledger.journal ORDER BY journal_index DESC LIMIT 2")
    assert [row[0] for row in records] == ["transfer.refused", "command.refused"], "one each, the reversal last"
    assert await numbers(admin_dsn, "alice") == (900, 600, 0)

    await books.do(void("h"), reverse("t", as_="recovery"))

    assert await numbers(admin_dsn, "alice") == (1_000, 0, 0)
    for each in (books, books_beside):
        await each.outcomes.flush()
    await check(admin_dsn)


async def test_another_process_knows_how_far_a_hold_was_captured(
    books: Books, books_beside: Books, admin_dsn: str
) -> None:
    await books.fund(alice=1_000, bob=1)
    await books.do(screened("h", leg("alice", "bob", 600), hold_seconds=HOUR), capture("h", 100, as_="one"))
    await books_beside.do(capture("h", 501, as_="two"), capture("h", 500, as_="three"))
    await until_confirmed(6, books_beside)
    assert decided(books_beside, id_of("two of h")) == [("refused", "capture_exceeds_hold")]
    assert books_beside.told("h")[-1].captured_minor == (600,)
    assert await numbers(admin_dsn, "bob") == (601, 0, 0)


async def test_two_writers_capture_one_hold_together_and_never_more_than_it_held(
    books: Books, books_beside: Books, admin_dsn: str
) -> None:
    await books.fund(alice=1_000, bob=1)
    await books.do(screened("h", leg("alice", "bob", 600), hold_seconds=HOUR))
    halves = [capture("h", 400, as_=f"half {number}") for number in range(4)]
    await asyncio.gather(books.insist(*halves[:2]), books_beside.insist(*halves[2:]))
    async with admin_connection(admin_dsn) as connection:
        done = await connection.fetchval("SELECT count(*) FROM ledger.commands WHERE status = 'done'")
    assert done == 1
    assert await numbers(admin_dsn, "bob") == (401, 0, 200)


async def test_holds_that_ran_out_while_nobody_looked_are_ended(books: Books, admin_dsn: str) -> None:
    await books.fund(alice=1_000, bob=1)
    await books.do(
        screened("short", leg("alice", "bob", 100), hold_seconds=30),
        screened("long", leg("alice", "bob", 200), hold_seconds=HOUR),
        held("review", leg("alice", "bob", 300), reasons=("review",)),
    )
    expire = ExpireHolds(books._connections[2], books.post, books.watch)
    await expire()
    assert books.last("short", "long") == [("held", ""), ("held", "")]
    books.clock.move(timedelta(seconds=31))
    await expire()
    await expire()
    assert books.last("short", "long", "review") == [("voided", "hold_expired"), ("held", ""), ("held", "")]
    assert await numbers(admin_dsn, "alice") == (1_000, 500, 0)
    await books.outcomes.flush()


async def test_a_transfer_is_reversed_in_parts_and_never_by_more_than_it_moved(books: Books, admin_dsn: str) -> None:
    await books.fund(alice=1_000, bob=1)
    await books.do(screened("t", leg("alice", "bob", 600)))
    await books.do(reverse("t", 200, as_="first"), reverse("t", 401, as_="too much"), reverse("t", as_="rest"))
    await books.do(reverse("t", 1, as_="late"), reverse("t", 200, as_="first"))
    assert books.last("first of t", "too much of t", "rest of t", "late of t") == [
        ("posted", ""),
        ("refused", "reversal_exceeds_transfer"),
        ("posted", ""),
        ("refused", "reversal_exceeds_transfer"),
    ]
    # The last is told again with the answer to the copy of the first: the state that it made.
    assert [each.reversed_minor for each in books.told("t")] == [(), (200,), (600,), (200,)]
    assert books.told("first of t")[-1].reverses == id_of("t")
    told = [books.told(each)[-1].gave_back_minor for each in ("first of t", "too much of t", "rest of t")]
    assert told == [(200,), (), (400,)]
    assert await numbers(admin_dsn, "alice") == (1_000, 0, 0)
    assert await numbers(admin_dsn, "bob") == (1, 0, 0)
    await books.outcomes.flush()
    await check(admin_dsn)


async def test_a_payee_without_funds_gives_nothing_back(books: Books, admin_dsn: str) -> None:
    await books.fund(alice=1_000, bob=1, carol=1)
    await books.do(screened("t", leg("alice", "bob", 600)), screened("on", leg("bob", "carol", 500), payer="bob"))
    await books.do(reverse("t"))
    assert books.last("reversal of t") == [("refused", "insufficient_funds")]
    await books.outcomes.flush()
    await check(admin_dsn)


async def test_two_writers_reverse_one_transfer_and_never_more_than_it_moved(
    books: Books, books_beside: Books, admin_dsn: str
) -> None:
    await books.fund(alice=1_000, bob=10_000)
    await books.do(screened("t", leg("alice", "bob", 600)))
    parts = [reverse("t", 150, as_=f"part {number}") for number in range(10)]
    await asyncio.gather(books.insist(*parts[:5]), books_beside.insist(*parts[5:]))
    assert await numbers(admin_dsn, "alice") == (1_000, 0, 0)
    async with admin_connection(admin_dsn) as connection:
        assert await connection.fetchval("SELECT count(*) FROM ledger.reversals") == 4


async def test_the_database_itself_refuses_a_capture_or_reversal_beyond_the_whole(books: Books, admin_dsn: str) -> None:
    await books.fund(alice=1_000, bob=1)
    await books.do(screened("h", leg("alice", "bob", 600), hold_seconds=HOUR), capture("h", 500))
    for column, amount, constraint in (
        ("captured_minor", 601, "settlements_captured_within_held"),
        ("reversed_minor", 501, "settlements_reversed_within_captured"),
    ):
        async with admin_connection(admin_dsn) as connection:
            with pytest.raises(asyncpg.CheckViolationError, match=constraint):
                await connection.execute(f"UPDATE ledger.settlements SET {column} = ARRAY[{amount}::bigint]")


async def test_staff_set_limits_and_the_books_keep_them(books: Books, admin_dsn: str) -> None:
    await books.fund(alice=1_000, bob=100)
    await books.do(
        change("bob", maximum_minor=99, as_="too low"),
        change("bob", maximum_minor=150, as_="maximum"),
        screened("in", leg("alice", "bob", 51)),
        change("alice", minimum_minor=-500, as_="overdraft"),
        screened("out", leg("alice", "carol", 1)),
        change("bob", "closed", as_="close"),
    )
    assert decided(books, id_of("too low of bob")) == [("refused", "maximum_below_balance")]
    assert decided(books, id_of("close of bob")) == [("refused", "account_not_empty")]
    assert books.last("in") == [("refused", "balance_limit_exceeded")]
    await books.do(screened("over", leg("alice", "bob", 50)))
    await books.do(withdrawal("cash", "alice", 1_450), withdrawal("cash 2", "alice", 1))
    assert books.last("over", "cash", "cash 2") == [("posted", ""), ("posted", ""), ("refused", "insufficient_funds")]
    await books.do(withdrawal("all", "bob", 150), change("bob", "closed", as_="close again"))
    assert decided(books, id_of("close again of bob")) == [("done", "")]
    await books.do(change("bob", "active", as_="reopen"))
    assert decided(books, id_of("reopen of bob")) == [("done", "")]
    await books.outcomes.flush()
    await check(admin_dsn)


async def test_what_the_broker_has_not_confirmed_is_told_again_from_the_journal(
    books: Books, admin_dsn: str, ledger_dsn: str
) -> None:
    await books.fund(alice=1_000, bob=1)
    await books.do(screened("h", leg("alice", "bob", 600), hold_seconds=HOUR))
    await books.do(capture("h", 100, as_="one"), capture("h", 501, as_="two"), change("alice", "frozen"))
    back = leg("bob", "alice", 1)
    await books.do(held("r", back, payer="bob"), resolved("r", back, payer="bob"))
    await books.do(reverse("start of bob"), ExpireHold(id_of("h"), ""))
    sent = [item for item in books.publisher.sent if item.message_id.startswith("ledger-")]
    first = {item.message_id: msgspec.json.decode(item.payload) for item in sent}
    async with admin_connection(admin_dsn) as connection:
        await connection.execute("UPDATE ledger.heads SET published_size = 0")
        size = await connection.fetchval("SELECT size FROM ledger.heads")
    async with Books(ledger_dsn) as successor:
        await until_confirmed(size, successor)
        again = {item.message_id: msgspec.json.decode(item.payload) for item in successor.publisher.sent}
    assert again == first


async def test_fees_are_withheld_in_the_same_posting_and_verify(books: Books, admin_dsn: str) -> None:
    await books.fund(alice=10_000, bob=1)
    before = screened("before", leg("alice", "bob", 1_000), hold_seconds=HOUR)
    await books.do(before, fees(rate_per_million=25_000, flat_minor=5), screened("t", leg("alice", "bob", 1_000)))
    assert [each.fee_minor for each in books.told("t")] == [30]
    await books.do(
        screened("h", leg("alice", "bob", 1_000), hold_seconds=HOUR), fees(rate_per_million=500_000, as_="2")
    )
    await books.do(capture("h", 400, as_="one"), capture("h", as_="two"), capture("before"))
    assert [each.fee_minor for each in books.told("h")] == [0, 15, 30]
    assert books.told("before")[-1].fee_minor == 0
    await books.do(reverse("t", 500, as_="half", with_fees=True), reverse("h", 500, as_="half", with_fees=False))
    assert (books.told("t")[-1].fee_minor, books.told("h")[-1].fee_minor) == (15, 30)
    await books.do(reverse("t", as_="rest", with_fees=True))
    assert books.told("t")[-1].fee_minor == 0
    assert await numbers(admin_dsn, "alice") == (10_000 - 1_000 - 500, 0, 0)
    assert await numbers(admin_dsn, "bob") == (1 + 1_000 + 970 - 500, 0, 0)
    async with admin_connection(admin_dsn) as connection:
        kept = "SELECT posted_minor FROM ledger.accounts WHERE account_number = 'SYS-FEES-0001' AND asset = 'USD'"
        assert await connection.fetchval(kept) == 30
    await books.outcomes.flush()
    await check(admin_dsn)


async def test_a_schedule_that_cannot_be_changes_nothing(books: Books, admin_dsn: str) -> None:
    await books.fund(alice=10_000, bob=1)
    await books.do(fees(rate_per_million=1_000_001), screened("t", leg("alice", "bob", 1_000)))
    assert decided(books, id_of("fees 1")) == [("refused", "fee_out_of_bounds")]
    assert books.told("t")[-1].fee_minor == 0
    await books.outcomes.flush()
    await check(admin_dsn)


async def test_a_writer_that_has_not_heard_of_new_fees_settles_a_hold_of_that_day(
    books: Books, books_beside: Books, admin_dsn: str
) -> None:
    await books.fund(alice=10_000, bob=1)
    await books_beside.insist(screened("before", leg("alice", "bob", 1)))
    await books.insist(fees(flat_minor=5))
    await books.insist(screened("h", leg("alice", "bob", 1_000), hold_seconds=HOUR))
    await books_beside.insist(capture("h"))
    assert await numbers(admin_dsn, "bob") == (997, 0, 0)
