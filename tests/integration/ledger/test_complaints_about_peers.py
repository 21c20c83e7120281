"""What users of other open ledgers complained about, each as a test of ours. The thread stands beside it.

What another file tests as well is here once more in the words of the complaint: whoever compares ledgers finds it.
docs/lessons.md lists these and all others.
"""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest

from libs.common.errors import Unavailable
from tests.integration.ledger.books import Books, check, until_confirmed
from tests.support.api_world import admin_connection
from tests.support.ledger_builders import batch, capture, held, id_of, leg, resolved, reverse, screened, void

HOUR = 3_600
_BATCHES = 15
"""Of each process; together they try for the same accounts as often."""


@pytest.fixture
async def books_beside(ledger_dsn: str) -> AsyncIterator[Books]:
    """Give a second process over the same database."""
    async with Books(ledger_dsn) as books:
        yield books


async def posted(admin_dsn: str, name: str) -> int:
    """Return an account's balance."""
    async with admin_connection(admin_dsn) as connection:
        balance: int = await connection.fetchval(
            "SELECT posted_minor FROM ledger.accounts WHERE account_id = $1", id_of(name)
        )
        return balance


async def test_a_refund_whose_answer_was_lost_is_not_paid_again(books: Books, admin_dsn: str) -> None:
    """The API said 409, and the payment was applied once more.

    https://github.com/blnkfinance/blnk/issues/374
    """
    await books.fund(alice=1_000, bob=500)
    await books.do(screened("t", leg("alice", "bob", 100)))
    for _ in range(3):
        await books.do(reverse("t"))
    assert (await posted(admin_dsn, "alice"), await posted(admin_dsn, "bob")) == (1_000, 500)


async def test_a_second_refund_moves_nothing_and_does_not_refund_the_first(books: Books, admin_dsn: str) -> None:
    """Asked for again, under no key or another, the refund itself was refunded: the payment stood once more.

    https://github.com/blnkfinance/blnk/issues/374, https://github.com/blnkfinance/blnk/issues/152
    """
    await books.fund(alice=1_000, bob=500)
    await books.do(screened("t", leg("alice", "bob", 100)))
    await books.do(reverse("t", as_="first"))
    await books.do(reverse("t", as_="second"), reverse("first of t", as_="turn back"))
    assert books.last("second of t", "turn back of first of t") == [
        ("refused", "reversal_exceeds_transfer"),
        ("refused", "transfer_not_reversible"),
    ]
    assert (await posted(admin_dsn, "alice"), await posted(admin_dsn, "bob")) == (1_000, 500)
    await books.outcomes.flush()
    await check(admin_dsn)


async def test_a_refund_of_the_rest_finds_one_leg_refunded_already(books: Books, admin_dsn: str) -> None:
    """One leg had been refunded: a refund of the whole said 409, and moved the other legs all the same.

    https://github.com/blnkfinance/blnk/issues/379
    """
    await books.fund(alice=1_000, bob=1, carol=1)
    await books.do(screened("t", leg("alice", "bob", 50), leg("alice", "carol", 50)))
    await books.do(reverse("t", 50, 0, as_="one leg"))
    await books.do(reverse("t", 50, 50, as_="too much"))
    assert books.last("too much of t") == [("refused", "reversal_exceeds_transfer")]
    assert await posted(admin_dsn, "alice") == 950, "what is refused moves no leg"
    await books.do(reverse("t", as_="the rest"))
    assert books.last("the rest of t") == [("posted", "")]
    assert [await posted(admin_dsn, name) for name in ("alice", "bob", "carol")] == [1_000, 1, 1]


async def test_a_rejected_hold_cannot_be_captured(books: Books, admin_dsn: str) -> None:
    """A rejected inflight transaction could still be committed, into an overdraft.

    https://github.com/blnkfinance/blnk/issues/182
    """
    part = leg("alice", "bob", 900)
    await books.fund(alice=1_000, bob=1)
    await books.do(held("h", part, reasons=("review",)))
    await books.do(resolved("h", part, resolution="reject", reason="review", code="review_rejected"))
    await books.do(screened("other", leg("alice", "bob", 1_000)), capture("h"))
    assert (await posted(admin_dsn, "alice"), await posted(admin_dsn, "bob")) == (0, 1_001)
    await books.outcomes.flush()
    await check(admin_dsn)


async def test_two_processes_commit_one_hold_once(books: Books, books_beside: Books, admin_dsn: str) -> None:
    """Two commits raced, and a pending transaction was committed twice.

    https://github.com/blnkfinance/blnk/pull/171, https://github.com/LerianStudio/midaz/issues/1519
    """
    await books.fund(alice=1_000, bob=1)
    await books.do(screened("h", leg("alice", "bob", 400), hold_seconds=HOUR))
    await asyncio.gather(books.insist(capture("h", as_="one")), books_beside.insist(capture("h", as_="two")))
    assert (await posted(admin_dsn, "alice"), await posted(admin_dsn, "bob")) == (600, 401)


async def test_what_is_on_its_way_out_is_not_available(books: Books) -> None:
    """Queued debits were not subtracted from the available balance.

    https://github.com/blnkfinance/blnk/issues/90
    """
    await books.fund(alice=1_000, bob=1)
    await books.do(screened("h", leg("alice", "bob", 800), hold_seconds=HOUR), screened("t", leg("alice", "bob", 201)))
    assert books.last("t") == [("refused", "insufficient_funds")]


async def test_a_hold_of_many_legs_is_captured_whole(books: Books, admin_dsn: str) -> None:
    """A hold made in bulk could not be committed.

    https://github.com/blnkfinance/blnk/issues/195
    """
    await books.fund(alice=1_000, bob=1, carol=1)
    await books.do(screened("h", leg("alice", "bob", 10), leg("alice", "carol", 20), hold_seconds=HOUR), capture("h"))
    assert [await posted(admin_dsn, name) for name in ("alice", "bob", "carol")] == [970, 11, 21]


async def test_a_transfer_to_oneself_is_refused(books: Books) -> None:
    """A self-transfer was accepted.

    https://github.com/blnkfinance/blnk/issues/360
    """
    await books.fund(alice=1_000)
    await books.do(screened("t", leg("alice", "alice", 1)))
    assert books.last("t") == [("refused", "same_account")]


async def test_a_balance_never_moves_without_its_record(books: Books, admin_dsn: str) -> None:
    """Row and balance were of two transactions, and drifted apart in silence.

    https://github.com/blnkfinance/blnk/issues/240, https://github.com/blnkfinance/blnk/issues/203,
    https://github.com/GaloyMoney/cala/pull/802
    """
    await books.fund(alice=1_000, bob=1)
    books.publisher.fails = True
    await books.do(
        screened("t", leg("alice", "bob", 7)), screened("h", leg("bob", "alice", 2), payer="bob", hold_seconds=9)
    )
    books.publisher.fails = False
    await books.do(void("h"), reverse("t", 3))
    await check_when_told(books, admin_dsn)


async def test_a_writer_with_an_old_memory_writes_nothing(books: Books, books_beside: Books, admin_dsn: str) -> None:
    """A stale cached balance was used as the seed, and money disappeared.

    https://github.com/LerianStudio/midaz/pull/2499
    """
    await books.fund(alice=1_000, bob=1)
    await books_beside.insist(screened("theirs", leg("alice", "bob", 900)))
    await books.insist(screened("ours", leg("alice", "bob", 200)))
    await until_confirmed(4, books)
    assert books.last("ours") == [("refused", "insufficient_funds")]
    assert (await posted(admin_dsn, "alice"), await posted(admin_dsn, "bob")) == (100, 901)


async def test_two_processes_spend_the_last_money_once(books: Books, books_beside: Books, admin_dsn: str) -> None:
    """Reads beside the transaction saw a balance that others were spending, and accounts went below zero.

    https://github.com/flash-oss/medici#readme
    """
    await books.fund(alice=10, bob=1)
    for number in range(10):  # after each, what one of them remembers is not so any more
        ours, theirs = (screened(f"{who} {number}", leg("alice", "bob", 1)) for who in ("ours", "theirs"))
        await asyncio.gather(books.insist(ours), books_beside.insist(theirs))
    assert (await posted(admin_dsn, "alice"), await posted(admin_dsn, "bob")) == (0, 11)


async def test_overlapping_atomic_batches_in_opposite_orders_neither_deadlock_nor_tear(
    books: Books, books_beside: Books, admin_dsn: str
) -> None:
    """Atomic bulks over shared accounts deadlocked in PostgreSQL: from two connections on nearly nothing went through.

    Seen by us with Formance Ledger v2.4.12, where each item locks its accounts in order, and a bulk does not:
    https://github.com/formancehq/ledger/tree/v2.4.12
    """
    names = [f"account {number}" for number in range(20)]
    await books.fund(**dict.fromkeys(names, 1_000))
    circle = list(pairwise([*names, names[0]]))

    async def keep_moving(process: Books, who: str, order: list[tuple[str, str]]) -> None:
        for number in range(_BATCHES):
            await process.insist(
                batch(
                    f"{who} {number}",
                    *(
                        screened(f"{who} {number} {source}", leg(source, target, 1), payer=source)
                        for source, target in order
                    ),
                )
            )

    async with asyncio.timeout(60):
        await asyncio.gather(keep_moving(books, "one", circle), keep_moving(books_beside, "other", circle[::-1]))
    await asyncio.sleep(1.5)  # each backend tells of its deadlocks a second late
    async with admin_connection(admin_dsn) as connection:
        deadlocks = await connection.fetchval(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        )
        statuses = await connection.fetch("SELECT status, count(*) FROM ledger.transfers GROUP BY status")
    assert deadlocks == 0
    assert {row[0]: row[1] for row in statuses} == {"posted": len(names) * (2 * _BATCHES + 1)}
    assert {await posted(admin_dsn, name) for name in names} == {1_000}


async def check_when_told(books: Books, admin_dsn: str) -> None:
    """Check every promise once all that was committed has been published."""
    async with asyncio.timeout(30):
        while True:
            try:
                await books.outcomes.flush()
                return await check(admin_dsn)
            except (AssertionError, Unavailable):
                await asyncio.sleep(0.1)
